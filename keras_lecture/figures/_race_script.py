"""The style and the script of the animation: contour lines, and paths up to the cost of the slider."""

STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1f2328; --line: #b9bfc6; --accent: #1f6fb2 }
@media (prefers-color-scheme: dark) {
  :root { --back: #131416; --text: #e6e8ea; --line: #565d66; --accent: #6db3ee } }
* { box-sizing: border-box }
body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 70rem; margin: 0 auto; padding: 1rem }
h1 { font-size: 1.4rem; margin: 0 } p { margin: .3rem 0 .8rem }
.controls { display: flex; gap: .8rem; align-items: center; position: sticky; top: 0; padding: .5rem 0;
  background: var(--back); z-index: 1 }
.controls label { flex: 1; display: flex; gap: .5rem; align-items: center } input[type=range] { flex: 1; min-width: 0 }
button { font: inherit; min-width: 5rem; padding: .4rem .8rem; border: 1px solid var(--line); border-radius: 6px;
  background: transparent; color: inherit; cursor: pointer }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
output { min-width: 3ch; text-align: right; font-variant-numeric: tabular-nums }
fieldset { border: 1px solid var(--line); border-radius: 6px; margin: 0 0 1rem }
.choice { display: inline-flex; align-items: center; gap: .35rem; margin: .1rem .9rem .1rem 0; white-space: nowrap }
.surfaces { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem }
figure { margin: 0 } figcaption { font-weight: 600 } .formula { font-weight: 400 }
figure canvas { width: 100%; aspect-ratio: 4 / 3; display: block; border: 1px solid var(--line); border-radius: 6px }
table { border-collapse: collapse; margin-top: 1.2rem; width: 100%; font-variant-numeric: tabular-nums }
caption { text-align: left; font-size: .9rem; padding-bottom: .3rem }
th, td { padding: .2rem .5rem; text-align: right; border-bottom: 1px solid var(--line) }
th:first-child { text-align: left }
@media (max-width: 30rem) { th, td { padding: .2rem .2rem; font-size: .8rem } }
"""

SCRIPT = """
const play = document.getElementById("play"), slider = document.getElementById("cost");
const shown = document.getElementById("shown"), SECONDS = 15;
const chosen = () => [...document.querySelectorAll("[data-name]:checked")].map(box => box.dataset.name);
const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// The line where the height crosses a level, cell by cell of the grid: pairs of points in grid coordinates.
function contour(heights, level) {
  const segments = [];
  for (let r = 0; r + 1 < heights.length; r++) for (let c = 0; c + 1 < heights[0].length; c++) {
    const corners = [[c, r], [c + 1, r], [c + 1, r + 1], [c, r + 1]], crossings = [];
    corners.forEach((a, i) => {
      const b = corners[(i + 1) % 4], low = heights[a[1]][a[0]] - level, high = heights[b[1]][b[0]] - level;
      if (low < 0 !== high < 0) {
        const t = low / (low - high);
        crossings.push([a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])]);
      }
    });
    for (let i = 0; i + 1 < crossings.length; i += 2) segments.push([crossings[i], crossings[i + 1]]);
  }
  return segments;
}

const lines = {};
for (const [key, surface] of Object.entries(scene.surfaces)) {
  const all = surface.heights.flat(), top = Math.max(...all), low = Math.max(Math.min(...all), 1e-3 * top);
  lines[key] = [...Array(12).keys()].flatMap(i => contour(surface.heights, low * (top / low) ** (i / 11)));
}

function star(pen, x, y) {
  pen.beginPath();
  for (let i = 0; i < 10; i++) {
    const angle = -Math.PI / 2 + i * Math.PI / 5, radius = i % 2 ? 3 : 8;
    pen.lineTo(x + radius * Math.cos(angle), y + radius * Math.sin(angle));
  }
  pen.fill();
}

function draw(canvas, cost, names) {
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = width * ratio; canvas.height = height * ratio;
  const pen = canvas.getContext("2d"), key = canvas.dataset.surface, surface = scene.surfaces[key];
  pen.scale(ratio, ratio);
  const x = v => (v - surface.x[0]) / (surface.x[1] - surface.x[0]) * width;
  const y = v => height - (v - surface.y[0]) / (surface.y[1] - surface.y[0]) * height;
  const rows = surface.heights.length - 1, columns = surface.heights[0].length - 1;
  pen.strokeStyle = color("--line"); pen.lineWidth = 0.8; pen.beginPath();
  for (const [a, b] of lines[key]) {
    pen.moveTo(a[0] / columns * width, height - a[1] / rows * height);
    pen.lineTo(b[0] / columns * width, height - b[1] / rows * height);
  }
  pen.stroke();
  pen.lineWidth = 2;
  for (const name of names) {
    const run = scene.runs[key][name], line = scene.lines[name];
    pen.strokeStyle = pen.fillStyle = line.color; pen.setLineDash(line.dash); pen.beginPath();
    let point = run.path[0];
    pen.moveTo(x(point[0]), y(point[1]));
    for (let i = 1; i < run.path.length && run.cost[i - 1] < cost; i++) {
      const before = run.path[i - 1], after = run.path[i];
      const part = Math.min(1, (cost - run.cost[i - 1]) / (run.cost[i] - run.cost[i - 1]));
      point = [0, 1].map(d => before[d] + part * (after[d] - before[d]));
      pen.lineTo(x(point[0]), y(point[1]));
    }
    pen.stroke(); pen.setLineDash([]);
    pen.beginPath(); pen.arc(x(point[0]), y(point[1]), 4.5, 0, 7); pen.fill();
  }
  pen.strokeStyle = pen.fillStyle = color("--text");
  pen.beginPath(); pen.arc(x(surface.start[0]), y(surface.start[1]), 6, 0, 7); pen.stroke();
  for (const [a, b] of surface.minima) star(pen, x(a), y(b));
}

function show() {
  const cost = Number(slider.value), names = chosen();
  shown.value = cost.toFixed(0);
  for (const canvas of document.querySelectorAll("[data-surface]")) draw(canvas, cost, names);
}

for (const canvas of document.querySelectorAll("[data-line]")) {
  const pen = canvas.getContext("2d"), line = scene.lines[canvas.dataset.line];
  pen.strokeStyle = line.color; pen.lineWidth = 3; pen.setLineDash(line.dash);
  pen.beginPath(); pen.moveTo(0, 5); pen.lineTo(28, 5); pen.stroke();
}

let last = null, position = 0;
function frame(now) {
  if (last === null) return;
  position += (now - last) / 1000 / SECONDS * scene.budget;
  last = now;
  slider.value = Math.min(position, scene.budget);
  show();
  if (position >= scene.budget) pause(); else requestAnimationFrame(frame);
}
function pause() { last = null; play.textContent = "Play"; }
play.addEventListener("click", () => {
  if (last !== null) return pause();
  position = Number(slider.value) >= scene.budget ? 0 : Number(slider.value);
  last = performance.now(); play.textContent = "Pause"; requestAnimationFrame(frame);
});
slider.addEventListener("input", () => { position = Number(slider.value); show(); });
document.querySelectorAll("[data-name]").forEach(box => box.addEventListener("change", show));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
addEventListener("resize", show);
show();
"""
