"""When the doctor looks: densely at first, then ever more rarely, so that its share of a long run falls."""


def is_due(epoch: int, treats: bool = False) -> bool:
    """Whether to look after this many epochs: 1, 2, 4, 8, 16, …; a doctor that treats, after each of the first 16."""
    return epoch & (epoch - 1) == 0 or (treats and epoch <= 16)


def thinned(entries: list, limit: int) -> list:
    """At most `limit` entries: the first quarter of them and the latest are kept, the rest at growing distances."""
    if len(entries) <= limit:
        return entries
    first = limit // 4
    rest = entries[first:-1]
    return [*entries[:first], *rest[len(rest) % 2 :: 2], entries[-1]]
