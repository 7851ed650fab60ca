// The scatter plot of all trained trials, on a canvas because there may be 10,000.

const front = {
  x: null,
  y: null,
  hover: -1,
  chosen: [],
  place: [],
  width: 0,
  height: 0,
  line: new Set(), // the front of the two metrics shown
  canvas: byId("scatter-canvas"),
  marks: byId("scatter-marks"), // above it, redrawn at every move of the pointer
  box: byId("scatter"),
  tooltip: byId("tooltip"),
};
const NEAR = 14; // pixels from a point that still count as pointing at it
const MAX_LABELS = 14;
const MAX_BARS = 300;
const FONT = "system-ui, sans-serif";

// One shape for each baseline, the same in every figure of the project.
const SHAPES = {
  all_conv: "circle",
  paper_rule: "up",
  stage_starts: "down",
  last_stage: "right",
  all_msa: "square",
};
const OTHER_SHAPES = ["star", "cross", "left"];

function shapeOf(baseline) {
  if (SHAPES[baseline]) return SHAPES[baseline];
  const others = [...new Set(trials.baseline)].filter((name) => name && !SHAPES[name]);
  return OTHER_SHAPES[others.sort().indexOf(baseline) % OTHER_SHAPES.length];
}

function setUpFront() {
  for (const axis of ["x", "y"]) {
    byId(`${axis}-metric`).addEventListener("change", (event) => {
      front[axis] = event.target.value;
      drawFront();
      writeLink();
    });
    byId(`${axis}-log`).addEventListener("change", drawFront);
  }
  for (const id of ["show-bars", "show-labels", "show-predicted"]) {
    byId(id).addEventListener("change", drawFront);
  }
  front.box.addEventListener("pointermove", (event) => point(nearest(event)));
  front.box.addEventListener("pointerleave", () => point(-1));
  front.box.addEventListener("click", (event) => {
    const index = nearest(event);
    if (index >= 0 && index < numTrials) toggle(index);
  });
  front.box.addEventListener("keydown", walk);
  front.box.addEventListener("blur", () => point(-1));
  new ResizeObserver(() => {
    if (front.box.clientWidth !== front.width) drawFront();
  }).observe(front.box);
  byId("save-png").addEventListener("click", savePng);
  byId("save-svg").addEventListener("click", saveSvg);
}

function offerAxes() {
  const names = data.metrics.map((metric) => metric.name).filter((n) => data.values[n]);
  const wanted = data.objectives.map((objective) => objective.metric);
  front.y = names.includes(front.y) ? front.y : (wanted[0] ?? names[0]);
  front.x = names.includes(front.x)
    ? front.x
    : (wanted[1] ?? names.find((name) => name !== front.y) ?? front.y);
  for (const axis of ["x", "y"]) {
    const select = byId(`${axis}-metric`);
    const options = names.map((name) => {
      const side = better(name);
      return element("option", { value: name }, side ? `${name} (${side})` : name);
    });
    select.replaceChildren(...options);
    select.value = front[axis];
  }
  byId("show-predicted").disabled = !data.forecast.placement?.length;
  drawLegend();
}

function signOf(metric) {
  return { maximize: 1, minimize: -1 }[metricOf.get(metric)?.direction] ?? 0;
}

// Indices on the front of two metrics, from the best x on; none without directions.
function frontOf(xs, ys, signs) {
  if (!signs[0] || !signs[1]) return [];
  // What one good trial beats need not be sorted, and that is most of them.
  const strong = { x: -Infinity, y: -Infinity, sum: -Infinity };
  const [spanX, spanY] = [xs, ys].map((column) => most(column) - least(column) || 1);
  const there = [];
  for (let i = 0; i < numTrials; i += 1) {
    if (!isTrained(i) || !known(xs[i]) || !known(ys[i])) continue;
    there.push(i);
    const [x, y] = [signs[0] * xs[i], signs[1] * ys[i]];
    const sum = x / spanX + y / spanY;
    if (sum > strong.sum) Object.assign(strong, { x, y, sum });
  }
  const order = there.filter((i) => signs[0] * xs[i] >= strong.x || signs[1] * ys[i] >= strong.y);
  order.sort((a, b) => signs[0] * (xs[b] - xs[a]) || signs[1] * (ys[b] - ys[a]));
  const found = [];
  let best = -Infinity;
  let at = null;
  for (const i of order) {
    const value = signs[1] * ys[i];
    if (value > best) [best, at] = [value, xs[i]];
    else if (!(value === best && xs[i] === at)) continue; // an equal point stays
    found.push(i);
  }
  return found;
}

// Volume between the front of two metrics and a point a tenth worse than the worst.
function volumeOf(xs, ys, signs, line) {
  const reference = [xs, ys].map((column, axis) => {
    const there = column.filter((v, i) => known(v) && isTrained(i));
    const ends = [-signs[axis] * least(there), -signs[axis] * most(there)];
    const [low, high] = [Math.min(...ends), Math.max(...ends)];
    const span = high - low || Math.abs(low) || 1;
    return -signs[axis] * (high + 0.1 * span);
  });
  let [volume, reached] = [0, 0];
  for (const i of line) {
    const width = signs[0] * (xs[i] - reference[0]);
    const height = signs[1] * (ys[i] - reference[1]);
    if (height > reached) volume += width * (height - reached);
    reached = Math.max(reached, height);
  }
  return { volume, reference };
}

function least(values) {
  let found = Infinity;
  for (const value of values) if (value < found) found = value;
  return found;
}

function most(values) {
  let found = -Infinity;
  for (const value of values) if (value > found) found = value;
  return found;
}

function drawFront() {
  const width = front.box.clientWidth;
  if (!width) return;
  const height = Math.round(Math.max(280, Math.min(540, width * 0.72)));
  Object.assign(front, { width, height });
  const pen = clearCanvas(front.canvas, width, height);
  drawScatter(pen, width, height);
  drawMarks();
  sayVolume();
}

function columnsShown() {
  return [data.values[front.x] ?? [], data.values[front.y] ?? []];
}

function drawScatter(pen, width, height) {
  pen.fillStyle = look.paper;
  pen.fillRect(0, 0, width, height);
  const area = { left: 62, right: width - 12, top: 12, bottom: height - 44 };
  const [xs, ys] = columnsShown();
  const [plottedX, plottedY] = [xs, ys].map((column) => column.filter((v, i) => known(v) && isTrained(i)));
  const predicted = predictedPlaces();
  const line = frontOf(xs, ys, [signOf(front.x), signOf(front.y)]);
  front.line = new Set(line);
  const barred = withBars(line, xs, ys);
  const [endsX, endsY] = [front.x, front.y].map((metric) => barEnds(barred, metric));
  const x = makeScale([...plottedX, ...predicted.map((p) => p.x), ...endsX], area.left, area.right, byId("x-log").checked);
  const y = makeScale([...plottedY, ...predicted.map((p) => p.y), ...endsY], area.bottom, area.top, byId("y-log").checked);
  for (const [axis, column] of [["x", plottedX], ["y", plottedY]]) {
    byId(`${axis}-log`).disabled = !column.length || least(column) <= 0;
  }
  front.place = [];
  for (let i = 0; i < numTrials; i += 1) {
    const there = isTrained(i) && known(xs[i]) && known(ys[i]);
    front.place.push(there ? [x(xs[i]), y(ys[i])] : null);
  }
  const isEmpty = !predicted.length && !front.place.some(Boolean);
  byId("scatter-empty").hidden = !isEmpty;
  byId("scatter-empty").textContent = isEmpty ? whyEmpty() : "";
  front.predicted = [];
  if (isEmpty) return;
  drawAxes(pen, area, x, y, width, height);
  drawPredicted(pen, predicted, x, y);
  const kept = table.keeps;
  const dim = numTrials > 2000 ? 0.25 : 0.5;
  pen.fillStyle = look.accent;
  pen.globalAlpha = dim / 4;
  if (!table.isAll) eachPlace((i) => !front.line.has(i) && !kept(i), (px, py) => disc(pen, px, py, 3));
  pen.globalAlpha = dim;
  eachPlace((i) => !front.line.has(i) && kept(i), (px, py) => disc(pen, px, py, 3));
  pen.globalAlpha = 1;
  drawBars(pen, barred, x, y, xs, ys);
  drawStep(pen, line);
  for (const i of line) diamond(pen, ...front.place[i], difference(front.y, i)?.isTold === false);
  eachPlace((i) => trials.baseline[i], (px, py, i) => drawShape(pen, shapeOf(trials.baseline[i]), px, py));
  if (byId("show-labels").checked) drawLabels(pen, line, area);
}

// What goes on where there is no point to draw.
function whyEmpty() {
  const { complete, failed, pruned, running, waiting } = data.counts;
  if (complete) return `No trial has both ${front.x} and ${front.y}: choose other axes.`;
  if (running + waiting) {
    const under = running ? `${running} being trained` : "";
    const queued = waiting ? `${waiting} queued` : "";
    const others = failed ? ` ${failed} failed: see Failures below.` : "";
    return `No trial has been measured yet: ${[under, queued].filter(Boolean).join(", ")}.${others}`;
  }
  if (failed) return `No trial has been measured: ${failed} failed. See Failures below.`;
  if (pruned) return `No trial was trained to its end: ${pruned} stopped early.`;
  return "No trial has been started yet: the search is preparing, or was stopped before its first one (nas status tells).";
}

// Predicted placements can be drawn where both axes are predicted or costs.
function predictedPlaces() {
  const found = data.forecast;
  if (!found.placement || !byId("show-predicted").checked) return [];
  const column = (metric) => (metric === found.metric ? found.mean : found[metric]);
  const [xs, ys] = [column(front.x), column(front.y)];
  if (!xs || !ys) return [];
  return found.placement
    .map((placement, i) => ({ i, x: xs[i], y: ys[i] }))
    .filter((one) => known(one.x) && known(one.y));
}

function drawPredicted(pen, places, x, y) {
  front.predicted = places.map((one) => ({ ...one, place: [x(one.x), y(one.y)] }));
  pen.strokeStyle = look.soft;
  pen.lineWidth = 1;
  pen.setLineDash([2, 1.5]);
  for (const { place } of front.predicted) ring(pen, ...place, 4);
  pen.setLineDash([]);
}

// Trials whose errors are drawn: the front and baselines, all where there are few.
function withBars(line, xs, ys) {
  if (!byId("show-bars").checked) return [];
  const [marked, others] = [[...line], []];
  for (let i = 0; i < numTrials; i += 1) {
    if (!isTrained(i) || !known(xs[i]) || !known(ys[i]) || front.line.has(i)) continue;
    if (trials.baseline[i]) marked.push(i);
    else if (numTrials <= MAX_BARS) others.push(i);
  }
  return [...marked, ...others].slice(0, MAX_BARS);
}

// Both ends of the bars on one axis, so that none is cut off; a logarithm has no zero.
function barEnds(barred, metric) {
  const [values, errors] = [data.values[metric], data.errors[metric]];
  if (!values || !errors) return [];
  const ends = barred.filter((i) => errors[i]).flatMap((i) => [values[i] - errors[i], values[i] + errors[i]]);
  return least(values.filter(known)) > 0 ? ends.filter((end) => end > 0) : ends;
}

function drawBars(pen, barred, x, y, xs, ys) {
  const errors = [data.errors[front.x], data.errors[front.y]];
  pen.strokeStyle = look.accent;
  pen.lineWidth = 1;
  pen.globalAlpha = 0.6;
  for (const i of barred) {
    if (!front.line.has(i) && !trials.baseline[i] && !table.keeps(i)) continue;
    const [px, py] = front.place[i];
    const [ex, ey] = errors.map((column) => column?.[i]);
    if (ex && !(x.isLog && xs[i] <= ex)) segment(pen, x(xs[i] - ex), py, x(xs[i] + ex), py);
    if (ey && !(y.isLog && ys[i] <= ey)) segment(pen, px, y(ys[i] - ey), px, y(ys[i] + ey));
  }
  pen.globalAlpha = 1;
}

// Placements beside the front, from both ends; those that would collide are left out.
function drawLabels(pen, line, area) {
  pen.font = `10px ui-monospace, monospace`;
  const taken = line.map((i) => [front.place[i][0] - 6, front.place[i][1] - 6, 12, 12]);
  eachPlace((i) => trials.baseline[i], (px, py) => taken.push([px - 8, py - 8, 16, 16]));
  const order = line.map((i, at) => [Math.min(at, line.length - 1 - at), i]);
  order.sort((a, b) => a[0] - b[0]);
  let drawn = 0;
  for (const [, i] of order) {
    if (drawn >= MAX_LABELS) break;
    const text = placementOf(i);
    const size = pen.measureText(text).width;
    const [px, py] = front.place[i];
    const spots = [[px + 13, py - 4], [px - 13 - size, py - 4], [px + 23, py + 13], [px - 13 - size, py + 13]];
    const spot = spots.find(([left, base]) => {
      const box = [left, base - 9, size, 12];
      const inside = left >= area.left && left + size <= area.right && box[1] >= area.top && base <= area.bottom;
      return inside && !taken.some((other) => overlap(box, other));
    });
    if (!spot) continue;
    taken.push([spot[0], spot[1] - 9, size, 12]);
    pen.globalAlpha = 0.7;
    pen.fillStyle = look.paper;
    pen.fillRect(spot[0] - 1, spot[1] - 9, size + 2, 12);
    pen.globalAlpha = 1;
    pen.fillStyle = look.ink;
    pen.textAlign = "left";
    pen.fillText(text, ...spot);
    drawn += 1;
  }
}

function overlap(a, b) {
  return a[0] < b[0] + b[2] && b[0] < a[0] + a[2] && a[1] < b[1] + b[3] && b[1] < a[1] + a[3];
}

// An empty canvas of that size in CSS pixels.
function clearCanvas(canvas, width, height) {
  const density = Math.max(2, window.devicePixelRatio || 1); // sharp in print, too
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  const pen = canvas.getContext("2d");
  pen.scale(density, density);
  return pen;
}

// Rings around the selected trials and the one pointed at.
function drawMarks() {
  const pen = clearCanvas(front.marks, front.width, front.height);
  front.chosen.forEach((index, order) => mark(pen, index, CHOSEN[order]));
  const place = placeOf(front.hover);
  if (place) {
    pen.strokeStyle = look.ink;
    pen.lineWidth = 2;
    ring(pen, ...place, 10);
  }
}

// Trials come first, then the predicted placements.
function placeOf(index) {
  if (index < 0) return null;
  if (index < numTrials) return front.place[index];
  return front.predicted.find((one) => one.i === index - numTrials)?.place ?? null;
}

function drawAxes(pen, area, x, y, width, height) {
  pen.font = `12px ${FONT}`;
  pen.fillStyle = look.ink;
  pen.strokeStyle = look.line;
  pen.lineWidth = 1;
  pen.textAlign = "center";
  let last = -Infinity;
  for (const value of x.ticks) {
    const px = x(value);
    segment(pen, px, area.top, px, area.bottom);
    if (px - last > 44) {
      pen.fillText(tickText(value), px, area.bottom + 16);
      last = px;
    }
  }
  pen.textAlign = "right";
  for (const value of y.ticks) {
    const py = y(value);
    segment(pen, area.left, py, area.right, py);
    pen.fillText(tickText(value), area.left - 6, py + 4);
  }
  pen.strokeStyle = look.soft;
  segment(pen, area.left, area.top, area.left, area.bottom);
  segment(pen, area.left, area.bottom, area.right, area.bottom);
  pen.textAlign = "center";
  pen.fillText(axisText(front.x), (area.left + area.right) / 2, height - 8);
  pen.save();
  pen.translate(13, (area.top + area.bottom) / 2);
  pen.rotate(-Math.PI / 2);
  pen.fillText(axisText(front.y), 0, 0);
  pen.restore();
}

function axisText(metric) {
  const side = better(metric);
  return side ? `${metric} (${side})` : metric;
}

function drawStep(pen, line) {
  pen.strokeStyle = look.accent;
  pen.lineWidth = 1.2;
  pen.beginPath();
  let previous = null;
  for (const i of line) {
    const [px, py] = front.place[i];
    if (previous) {
      pen.lineTo(px, previous[1]);
      pen.lineTo(px, py);
    } else pen.moveTo(px, py);
    previous = [px, py];
  }
  if (line.length) pen.stroke();
}

function eachPlace(wanted, act) {
  front.place.forEach((place, i) => {
    if (place && wanted(i)) act(place[0], place[1], i);
  });
}

function segment(pen, x1, y1, x2, y2) {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
}

function disc(pen, x, y, radius) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fill();
}

function ring(pen, x, y, radius) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.stroke();
}

// Hollow where the network cannot be told from the all-Conv parent.
function diamond(pen, x, y, hollow) {
  polygon(pen, [[x, y - 6], [x + 6, y], [x, y + 6], [x - 6, y]]);
  pen.fillStyle = hollow ? look.paper : look.accent;
  pen.fill();
  pen.strokeStyle = hollow ? look.accent : look.ink;
  pen.lineWidth = hollow ? 1.8 : 1;
  pen.stroke();
}

const POLYGONS = {
  up: [[0, -10], [9, 7], [-9, 7]],
  down: [[0, 10], [9, -7], [-9, -7]],
  right: [[10, 0], [-7, 9], [-7, -9]],
  left: [[-10, 0], [7, 9], [7, -9]],
  square: [[-8, -8], [8, -8], [8, 8], [-8, 8]],
  star: [[0, -11], [3, -3], [11, 0], [3, 3], [0, 11], [-3, 3], [-11, 0], [-3, -3]],
  cross: [[-9, -9], [0, -4], [9, -9], [4, 0], [9, 9], [0, 4], [-9, 9], [-4, 0]],
};

function drawShape(pen, shape, x, y, scale = 1) {
  pen.strokeStyle = look.ink;
  pen.lineWidth = 1.6;
  if (shape === "circle") ring(pen, x, y, 9 * scale);
  else {
    polygon(pen, POLYGONS[shape].map(([dx, dy]) => [x + scale * dx, y + scale * dy]));
    pen.stroke();
  }
}

function polygon(pen, corners) {
  pen.beginPath();
  corners.forEach(([x, y], at) => (at ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.closePath();
}

function mark(pen, index, style) {
  const place = front.place[index];
  if (!place) return;
  const colour = paint(style);
  pen.strokeStyle = colour;
  pen.lineWidth = 2.5;
  ring(pen, place[0], place[1], 11);
  pen.fillStyle = colour;
  pen.font = `bold 13px ${FONT}`;
  pen.textAlign = "left";
  pen.fillText(style.letter, place[0] + 12, place[1] + 14);
}

function nearest(event) {
  const box = front.canvas.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  let found = -1;
  let close = NEAR * NEAR;
  const consider = (place, i, favour) => {
    const distance = favour * ((place[0] - x) ** 2 + (place[1] - y) ** 2);
    if (distance <= close) [found, close] = [i, distance];
  };
  // Front and baselines are what people aim at: of close ones they win.
  eachPlace(() => true, (px, py, i) => consider([px, py], i, front.line.has(i) || trials.baseline[i] ? 0.5 : 1));
  for (const one of front.predicted ?? []) consider(one.place, numTrials + one.i, 1);
  return found;
}

function point(index) {
  if (index === front.hover) return;
  front.hover = index;
  drawMarks();
  const tooltip = front.tooltip;
  const place = placeOf(index);
  tooltip.hidden = !place;
  if (!place) return;
  tooltip.replaceChildren(...(index < numTrials ? trialTip(index) : predictedTip(index - numTrials)));
  const [x, y] = place;
  const [width, height] = [tooltip.offsetWidth, tooltip.offsetHeight];
  const room = front.box.clientWidth;
  const left = x + 16 + width <= room ? x + 16 : Math.max(0, x - width - 16);
  tooltip.style.left = `${Math.min(left, Math.max(0, room - width))}px`;
  tooltip.style.top = `${Math.max(0, Math.min(y - height / 2, front.canvas.clientHeight - height))}px`;
}

function trialTip(index) {
  const shown = new Set([...data.objectives.map((o) => o.metric), front.y, front.x]);
  return [
    element("strong", {}, titleOf(index)),
    element("div", { class: "mono" }, placementOf(index)),
    placementPicture(placementOf(index), 13),
    tipTable([...shown].map((metric) => [metric, writeMetric(metric, index)])),
    note(differenceText(front.y, index)),
    note(front.line.has(index) ? "on the front of these two metrics" : ""),
  ];
}

function predictedTip(i) {
  const { metric, placement } = data.forecast;
  const [middle, interval] = forecastTexts(i);
  return [
    element("strong", {}, "predicted, not trained"),
    element("div", { class: "mono" }, placement[i]),
    placementPicture(placement[i], 13),
    tipTable([[metric, middle], ["95% interval", interval]]),
  ];
}

function tipTable(rows) {
  const made = rows.map(([name, value]) =>
    element("tr", {}, element("td", {}, name), element("td", { class: "number" }, value)),
  );
  return element("table", {}, element("tbody", {}, ...made));
}

function toggle(index) {
  const at = front.chosen.indexOf(index);
  if (at >= 0) front.chosen.splice(at, 1);
  else {
    front.chosen.push(index);
    if (front.chosen.length > CHOSEN.length) front.chosen.shift();
  }
  drawMarks();
  showChosen();
  writeLink();
}

function walk(event) {
  const stops = [];
  eachPlace((i) => front.line.has(i) || trials.baseline[i], (px, py, i) => stops.push(i));
  stops.sort((a, b) => front.place[a][0] - front.place[b][0] || b - a);
  const at = stops.indexOf(front.hover);
  const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
  if (step && stops.length) {
    const from = at < 0 ? (step > 0 ? -1 : stops.length) : at;
    point(stops[Math.max(0, Math.min(stops.length - 1, from + step))]);
  } else if (event.key === "Home" && stops.length) point(stops[0]);
  else if (event.key === "End" && stops.length) point(stops[stops.length - 1]);
  else if ((event.key === "Enter" || event.key === " ") && front.hover >= 0) {
    if (front.hover < numTrials) toggle(front.hover);
  } else if (event.key === "Escape") {
    front.chosen = [];
    point(-1);
    drawMarks();
    showChosen();
    writeLink();
  } else return;
  event.preventDefault();
}

function drawLegend() {
  const icon = (...shapes) => drawing("svg", { width: 20, height: 20, viewBox: "-10 -10 20 20", "aria-hidden": "true" }, ...shapes);
  const corners = (list, scale) => list.map(([x, y]) => `${x * scale},${y * scale}`).join(" ");
  const diamondShape = (hollow) =>
    drawing("path", {
      d: "M0-6 6 0 0 6-6 0z",
      fill: hollow ? "var(--paper)" : "var(--accent)",
      stroke: hollow ? "var(--accent)" : "var(--ink)",
      "stroke-width": hollow ? 1.8 : 1,
    });
  const entries = [
    ["trial", icon(drawing("circle", { r: 3.5, fill: "var(--accent)", opacity: 0.6 }))],
    ["on the front of the two metrics", icon(diamondShape(false))],
  ];
  if (Object.keys(data.comparisons).length) {
    entries.push(["… that cannot be told from the all-Conv parent", icon(diamondShape(true))]);
  }
  for (const name of [...new Set(trials.baseline)].filter(Boolean)) {
    const shape = shapeOf(name);
    const drawn =
      shape === "circle"
        ? drawing("circle", { r: 7, fill: "none", stroke: "var(--ink)", "stroke-width": 1.5 })
        : drawing("polygon", { points: corners(POLYGONS[shape], 0.75), fill: "none", stroke: "var(--ink)", "stroke-width": 1.5 });
    entries.push([`baseline ${name}`, icon(drawn)]);
  }
  if (data.forecast.placement?.length) {
    entries.push(["predicted, not trained", icon(drawing("circle", { r: 4, fill: "none", stroke: "var(--soft)", "stroke-dasharray": "2 1.5" }))]);
  }
  const kinds = data.kinds.map(({ letter, name, colour, ink }) => {
    const block = drawing(
      "svg",
      { width: 26, height: 16, "aria-hidden": "true" },
      drawing("rect", { width: 26, height: 16, rx: 2.5, fill: colour }),
      drawing("text", { x: 13, y: 12, "font-size": 11, "text-anchor": "middle", fill: ink }, letter),
    );
    return [`${name} block`, block];
  });
  byId("legend").replaceChildren(
    ...[...entries, ...kinds].map(([text, picture]) => element("span", {}, picture, text)),
  );
}

// What the line is worth, and what the hollow diamonds mean.
function sayVolume() {
  const [xs, ys] = columnsShown();
  const signs = [signOf(front.x), signOf(front.y)];
  const parts = [];
  if (!signs[0] || !signs[1] || front.x === front.y) {
    parts.push("These two metrics span no front: neither side of one of them is better.");
  } else if (front.line.size) {
    const { volume, reference } = volumeOf(xs, ys, signs, [...front.line]);
    const placed = front.place.filter(Boolean).length;
    parts.push(
      `${front.line.size} of ${write(placed)} trials are on the front of these two metrics. ` +
        `Hypervolume ${write(volume)}; reference point ${front.x} ${write(reference[0])}, ` +
        `${front.y} ${write(reference[1])}.`,
    );
  }
  const one = data.comparisons[front.y];
  if (one) parts.push(`Hollow: ${one.sentence}.`);
  const reliable = [front.y, front.x].filter((m) => data.reliability[m]);
  for (const metric of new Set(reliable)) {
    parts.push(`One training of ${metric}: ${data.reliability[metric].text}.`);
  }
  const gloss = [...new Set([front.y, front.x])].map((metric) => {
    const { definition, unit } = metricOf.get(metric) ?? {};
    return definition ? `${metric}: ${definition.replace(/\.$/, "")}${unit && unit !== "1" ? ` (${unit})` : ""}.` : "";
  });
  const bars = Object.keys(data.errors).length ? ["Bars are standard errors of measuring."] : [];
  byId("volume").replaceChildren(
    ...[...parts, ...bars, ...gloss].filter(Boolean).map((text) => note(text)),
  );
}

function savePng() {
  front.canvas.toBlob((blob) => save(blob, "front.png"));
}

function saveSvg() {
  const pen = new SvgPen(front.width, front.height, document.createElement("canvas").getContext("2d"));
  drawScatter(pen, front.width, front.height);
  save(new Blob([pen.text()], { type: "image/svg+xml" }), "front.svg");
}
