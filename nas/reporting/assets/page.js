// The data of the page and small tools to make its elements.
// Text always goes in as text nodes: nothing of a study is ever read as HTML.

const data = JSON.parse(document.getElementById("data").textContent);
const trials = data.trials;
const numTrials = trials.number.length;
const kindOf = Object.fromEntries(data.kinds.map((kind) => [kind.letter, kind]));
const metricOf = new Map(data.metrics.map((metric) => [metric.name, metric]));

const BLUE = "#0072B2";
const GREY = "#6e7781";
// Selected models: Okabe-Ito hues other than those of the blocks, each with its dash.
const CHOSEN = [
  { letter: "A", colour: "#000000", dash: "" },
  { letter: "B", colour: "#D55E00", dash: "7 3" },
  { letter: "C", colour: "#00795a", dash: "2 3" },
  { letter: "D", colour: "#a3487f", dash: "9 3 2 3" },
];

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function drawing(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function byId(id) {
  return document.getElementById(id);
}

function write(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value)) return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(digits - 2);
  return String(Number(value.toPrecision(digits)));
}

function writeMetric(metric, index) {
  const error = data.errors[metric]?.[index];
  const value = write(data.values[metric]?.[index]);
  return error === null || error === undefined ? value : `${value} ± ${write(error, 2)}`;
}

function better(metric) {
  const direction = metricOf.get(metric)?.direction;
  if (direction === "maximize") return "more is better";
  return direction === "minimize" ? "less is better" : "";
}

// The placement as a picture: stages are columns, the first block is on top.
function placementPicture(placement, cell = 16) {
  const stages = placement.split("-");
  const wide = cell * 1.9;
  const gap = 3;
  const head = cell * 0.95;
  const width = stages.length * (wide + 3 * gap) - 2 * gap;
  const height = head + Math.max(...stages.map((s) => s.length)) * (cell + gap);
  const picture = drawing("svg", {
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "img",
    "aria-label": `Placement ${placement}`,
    "font-size": cell * 0.72,
    "text-anchor": "middle",
  });
  stages.forEach((stage, column) => {
    const x = column * (wide + 3 * gap);
    const label = { x: x + wide / 2, y: head * 0.7, fill: GREY };
    picture.append(drawing("text", label, `s${column + 1}`));
    [...stage].forEach((letter, row) => {
      const y = head + row * (cell + gap);
      picture.append(
        drawing("rect", {
          x, y, width: wide, height: cell, rx: 2.5, fill: kindOf[letter].colour,
        }),
        drawing(
          "text",
          { x: x + wide / 2, y: y + cell * 0.76, fill: kindOf[letter].ink },
          letter,
        ),
      );
    });
  });
  return picture;
}

function placementOf(index) {
  return data.placements[trials.placement[index]];
}

function titleOf(index) {
  const baseline = trials.baseline[index];
  return `trial ${trials.number[index]}` + (baseline ? `, baseline ${baseline}` : "");
}
