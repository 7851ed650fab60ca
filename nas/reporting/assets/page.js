// The data of the page and how it is written.

let data, trials, numTrials, trained, kindOf, metricOf, indexOf;

// Everything follows from the data; a served page gets new ones while a search runs.
function take(found) {
  data = found;
  trials = data.trials;
  numTrials = trials.number.length;
  const complete = data.states.indexOf("complete");
  trained = Uint8Array.from(trials.state, (state) => state === complete);
  kindOf = Object.fromEntries(data.kinds.map((kind) => [kind.letter, kind]));
  metricOf = new Map(data.metrics.map((metric) => [metric.name, metric]));
  indexOf = new Map(trials.number.map((number, i) => [number, i]));
}
take(JSON.parse(document.getElementById("data").textContent));

// Colours of the theme; those of the style sheet, because a canvas knows no variables.
const look = {};
function readLook() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "soft", "line", "paper", "accent"]) {
    look[name] = style.getPropertyValue(`--${name}`).trim();
  }
}
readLook();

// Selected models: Okabe-Ito hues other than those of the blocks, each with its dash.
const CHOSEN = [
  { letter: "A", name: "--chosen-a", dash: "" },
  { letter: "B", name: "--chosen-b", dash: "7 3" },
  { letter: "C", name: "--chosen-c", dash: "2 3" },
  { letter: "D", name: "--chosen-d", dash: "9 3 2 3" },
].map((one) => ({ ...one, colour: `var(${one.name})` }));

function paint(style) {
  return getComputedStyle(document.documentElement).getPropertyValue(style.name).trim();
}

function writeMetric(metric, index) {
  const error = data.errors[metric]?.[index];
  const value = data.values[metric]?.[index];
  if (!known(error) || !known(value)) return write(value);
  const told = digitsOf(error);
  return told === null ? `${write(value)} ± ${write(error, 2)}` : `${value.toFixed(told)} ± ${error.toFixed(told)}`;
}

// Decimals that an error leaves meaning to: it is written with two digits.
function digitsOf(error) {
  if (!(error > 1e-6 && error < 1e4)) return null;
  return Math.max(0, 1 - Math.floor(Math.log10(error)));
}

function isTrained(index) {
  return trained[index] === 1;
}

function known(value) {
  return value !== null && value !== undefined;
}

// A network against the all-Conv parent: null where there is nothing to compare.
const networkMeans = new Map();
function difference(metric, index) {
  const one = data.comparisons[metric];
  if (!one || !isTrained(index)) return null;
  if (trials.network[index] === trials.network[indexOf.get(one.parent)]) return null;
  if (!networkMeans.has(metric)) networkMeans.set(metric, sumByNetwork(metric));
  const sums = networkMeans.get(metric);
  const network = trials.network[index];
  const count = sums.count[network];
  if (!count) return null;
  let error = null;
  if (one.noise !== null) error = one.noise * Math.sqrt(1 / count + 1 / one.count);
  else if (!Number.isNaN(sums.squares[network]) && one.error !== null) {
    error = Math.sqrt(sums.squares[network] / count + one.error ** 2);
  }
  if (error === null) return null;
  const value = sums.total[network] / count - one.mean;
  const half = one.quantile * error;
  return { value, low: value - half, high: value + half, isTold: Math.abs(value) > half };
}

// For each network: sum of its values, how many there are, and sum of their squared
// errors (NaN if one has none). Arrays, because there may be 10,000 networks.
function sumByNetwork(metric) {
  const size = most(trials.network) + 1;
  const [total, count, squares] = [0, 1, 2].map(() => new Float64Array(size));
  const errors = data.errors[metric];
  for (let i = 0; i < numTrials; i += 1) {
    const value = data.values[metric][i];
    if (!known(value) || !isTrained(i)) continue;
    const network = trials.network[i];
    total[network] += value;
    count[network] += 1;
    squares[network] += known(errors?.[i]) ? errors[i] ** 2 : NaN;
  }
  return { total, count, squares };
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
    const label = { x: x + wide / 2, y: head * 0.7, fill: "var(--soft)" };
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
