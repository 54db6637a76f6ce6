"""The style of a page and its two scripts: copying code and switching between light and dark."""

import base64
import hashlib

from keras_lecture.diagnosis._report.palette import LEVELS, variables

_RULES = """
* { box-sizing:border-box }
html { -webkit-text-size-adjust:100% }
body {
  margin:0; background:var(--page); color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif; overflow-wrap:anywhere;
}
header,main,footer,.top { max-width:60rem; margin:0 auto; padding:0 1.25rem }
.top {
  display:flex; justify-content:space-between; align-items:center; gap:1rem; padding-top:1rem; flex-wrap:wrap;
}
nav ul {
  display:flex; flex-wrap:wrap; gap:.25rem 1.25rem; list-style:none; margin:0; padding:0; font-size:.875rem;
}
a { color:var(--link); text-underline-offset:.15em }
:focus-visible { outline:3px solid var(--link); outline-offset:2px }
.skip { position:absolute; left:-999rem }
.skip:focus { left:1rem; top:1rem; background:var(--page); padding:.5rem 1rem }
h1 { font-size:1.5rem; line-height:1.35; font-weight:600; margin:.5rem 0 1rem; text-wrap:pretty }
h2 {
  font-size:1.25rem; line-height:1.3; margin:3.25rem 0 .5rem; padding-top:1rem;
  border-top:1px solid var(--rule);
}
h3 { font-size:1rem; margin:2rem 0 .25rem }
p { margin:.5rem 0; max-width:44rem }
small,figcaption,caption { font-size:.8125rem; color:var(--soft) }
header { padding-top:2rem }
.facts { font-size:.875rem; color:var(--soft); margin:0; max-width:none }
button {
  font:inherit; font-size:.8125rem; color:var(--ink); background:var(--raised); border:1px solid var(--soft);
  border-radius:.375rem; padding:.2rem .7rem; cursor:pointer; min-height:1.75rem;
}
.badge { font-size:.8125rem; font-weight:600; white-space:nowrap }
h1 .badge { font-size:1rem }
h1 .cure { font-weight:400 }
.t-high { color:var(--high) }
.t-medium { color:var(--medium) }
.t-low { color:var(--low) }
.t-healthy { color:var(--healthy) }
figure { margin:1rem 0 0 }
.chart { display:block; overflow:visible }
.plot,.times { margin-left:3rem }
.chart text,.key text { font-size:12px; fill:var(--soft); font-variant-numeric:tabular-nums }
.chart .halo { paint-order:stroke; stroke:var(--page); stroke-width:4px; stroke-linejoin:round }
.grid { stroke:var(--rule) }
.level { stroke:var(--soft); stroke-dasharray:2 4 }
.mark { stroke:var(--ink); stroke-dasharray:1 3 }
.mark.bad { stroke:var(--high); stroke-dasharray:none; stroke-width:2 }
.line { fill:none; stroke-width:2; vector-effect:non-scaling-stroke; stroke-linejoin:round }
path.steps { stroke:var(--steps); stroke-width:1.25 }
path.train { stroke:var(--train) }
path.validation { stroke:var(--validation); stroke-dasharray:7 4 }
path.logged { stroke:var(--logged); stroke-dasharray:2 3 }
path.second { stroke:var(--validation); stroke-dasharray:7 4 }
circle.train { fill:var(--train) }
rect.validation { fill:var(--validation) }
rect.second { fill:var(--validation) }
.bar { stroke-width:3 }
.b-high { stroke:var(--high); fill:var(--high) }
.b-medium { stroke:var(--medium); fill:var(--medium) }
.b-low { stroke:var(--low); fill:var(--low) }
.b-action { stroke:var(--logged); fill:var(--logged) }
.legend {
  display:flex; flex-wrap:wrap; gap:.25rem 1.25rem; align-items:center; font-size:.8125rem; color:var(--soft);
  margin:.5rem 0;
}
.sample { width:32px; height:12px; vertical-align:middle }
.scale { flex:0 1 18rem; min-width:12rem }
.key { width:14px; height:14px; vertical-align:middle }
.cell { stroke:none }
.c-bad,.c-zero { fill:none; stroke-width:2; vector-effect:non-scaling-stroke }
.c-bad { stroke:var(--high) }
.c-zero { stroke:var(--soft); stroke-width:1.5 }
.map { display:grid; grid-template-columns:fit-content(38%) 1fr; gap:.75rem }
.map .names { overflow:hidden; font-size:12px; line-height:16px; color:var(--soft) }
.map .names span {
  display:block; height:16px; overflow:hidden; white-space:nowrap; text-overflow:ellipsis; text-align:right;
}
.times { list-style:none; padding:0; margin-block:.5rem }
.times li { margin:.5rem 0; font-size:.875rem }
.panels { display:grid; grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr)); gap:1rem 2rem }
h4 { font-size:.875rem; margin:1rem 0 0 }
figcaption { margin-top:.5rem }
.wide { overflow-x:auto }
table {
  border-collapse:collapse; font-size:.875rem; font-variant-numeric:tabular-nums; margin:.75rem 0;
  overflow-wrap:normal;
}
caption { text-align:left; padding-bottom:.25rem }
th,td {
  padding:.3rem .75rem .3rem 0; text-align:left; vertical-align:top; border-bottom:1px solid var(--rule);
  font-weight:400;
}
thead th { color:var(--soft); font-size:.8125rem }
details table td,details table th { overflow-wrap:anywhere }
table.plain td { min-width:3.5rem }
table.plain th[scope=row] { min-width:6rem }
table.open th[scope=row] { min-width:8rem }
article { border-left:3px solid var(--rule); padding:0 0 0 1.25rem; margin:2rem 0 }
article h3 { margin-top:0 }
summary { cursor:pointer; padding:.3rem 0; font-size:.9375rem }
.evidence {
  display:grid; grid-template-columns:minmax(8rem,auto) 1fr; gap:.2rem 1.25rem; margin:.75rem 0;
  font-size:.875rem;
}
.evidence dt { color:var(--soft) }
.evidence dd { margin:0 }
.code { position:relative; background:var(--raised); border-radius:.375rem; margin:.75rem 0 }
.code .copy { position:absolute; right:.5rem; top:.5rem }
pre {
  margin:0; padding:.75rem 1rem; overflow-x:auto;
  font:13px/1.5 ui-monospace,SFMono-Regular,Consolas,monospace;
}
pre code { font:inherit; display:block; padding-right:4.5rem; white-space:pre-wrap }
.two { display:grid; grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr)); gap:0 2.5rem }
table.beside { font-size:.8125rem }
table.beside td:last-child { white-space:nowrap }
.two h3 { margin-top:1rem }
footer { margin-top:4rem; padding-bottom:3rem; font-size:.8125rem; color:var(--soft) }
table.findings th[scope=row] { min-width:8rem }
table.findings td { min-width:5.25rem; overflow-wrap:anywhere }
code { font:0.875em ui-monospace,SFMono-Regular,Consolas,monospace }
@media (max-width:34rem) {
  .evidence { grid-template-columns:1fr; gap:0 }
  .evidence dd { margin-bottom:.5rem }
  h1 { font-size:1.1875rem }
}
@media print {
  body { font-size:10pt }
  nav,.skip,button { display:none!important }
  article,figure,tr { break-inside:avoid }
  h2,h3 { break-after:avoid }
  h2 { margin-top:1.5rem }
  details:has(table.plain) { display:none }
  details::details-content { content-visibility:visible; display:block }
  .wide { overflow:visible }
  * { print-color-adjust:exact; -webkit-print-color-adjust:exact }
}
@media (forced-colors:active) {
  .chart,.key,.sample { forced-color-adjust:none; background:var(--page) }
}
"""
SCRIPT = """
const root = document.documentElement;
const say = document.getElementById("say");
const theme = document.getElementById("theme");

function isDark() {
  const system = matchMedia("(prefers-color-scheme: dark)").matches;
  return root.dataset.theme ? root.dataset.theme === "dark" : system;
}
function showTheme() {
  theme.setAttribute("aria-pressed", String(isDark()));
}
theme.hidden = false;
showTheme();
theme.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
});

function copyBySelection(node) {
  const range = document.createRange();
  range.selectNodeContents(node);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
  const copied = document.execCommand("copy");
  selection.removeAllRanges();
  return copied;
}
async function copy(button) {
  const code = button.parentNode.querySelector("code");
  let copied = false;
  try {
    await navigator.clipboard.writeText(code.textContent);
    copied = true;
  } catch {
    copied = copyBySelection(code);
  }
  button.textContent = copied ? "Copied" : "Failed";
  say.textContent = copied ? "Copied" : "Copying failed: select the code";
  setTimeout(() => { button.textContent = "Copy"; say.textContent = ""; }, 2000);
}
for (const button of document.querySelectorAll(".copy")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}

function openTarget() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  const box = target && target.closest("details");
  if (box) {
    box.open = true;
    target.scrollIntoView();
  }
}
addEventListener("hashchange", openTarget);
openTarget();
"""


def style() -> str:
    """The style sheet."""
    heat = "".join(f".c-{index}{{fill:var(--heat{index})}}" for index in range(LEVELS))
    return variables() + _RULES + heat


def policy() -> str:
    """The policy of the page's content: nothing is loaded, and no script runs but its own, whatever a name contains."""
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    sources = f"style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    return f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"
