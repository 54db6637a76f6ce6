"""Writes the list of the doctor's rules, from the rules themselves, for the page that includes it."""

from keras_lecture.diagnosis._rules import RULES


def write(file):
    """Writes a definition list: id and severity; criterion, independence of scale, unknown answers, cure, lecture."""
    text = "\n\n".join(entry(name, variants) for name, variants in sorted(RULES.items())) + "\n"
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")


def entry(name, variants):
    """The entry of one id; a rule of the audit and one of the run may share it."""
    return f"`{name}`\n: " + "\n  \n  ".join(map(described, variants))


def described(rule):
    lecture = rule.lecture[:1].upper() + rule.lecture[1:]
    sentences = (rule.criterion, rule.scale_free, f"Unknown: {rule.unknown_when}", rule.cure, lecture)
    return f"**{rule.severity}.** " + " ".join(sentence(text) for text in sentences if text)


def sentence(text):
    """A sentence on one line, with a full stop, and without characters that Markdown would interpret."""
    text = " ".join(text.split()).rstrip(".")
    for character in "|*_<>":
        text = text.replace(character, f"\\{character}") if "`" not in text else text
    return f"{text}."
