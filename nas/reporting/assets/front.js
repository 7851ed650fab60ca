// The scatter plot of all trained trials, on a canvas because there may be 10,000.

const front = {
  x: null,
  y: null,
  hover: -1,
  chosen: [],
  place: [],
  canvas: byId("scatter-canvas"),
  marks: byId("scatter-marks"), // above it, redrawn at every move of the pointer
  box: byId("scatter"),
  tooltip: byId("tooltip"),
};
const NEAR = 14; // pixels from a point that still count as pointing at it

function setUpFront() {
  const names = data.metrics.map((metric) => metric.name).filter((n) => data.values[n]);
  const wanted = data.objectives.map((objective) => objective.metric);
  front.y = wanted[0] ?? names[0];
  front.x = wanted[1] ?? names.find((name) => name !== front.y) ?? front.y;
  for (const axis of ["x", "y"]) {
    const select = byId(`${axis}-metric`);
    for (const name of names) {
      const note = better(name);
      const text = note ? `${name} (${note})` : name;
      select.append(element("option", { value: name }, text));
    }
    select.value = front[axis];
    select.addEventListener("change", () => {
      front[axis] = select.value;
      drawFront();
    });
    byId(`${axis}-log`).addEventListener("change", drawFront);
  }
  front.box.addEventListener("pointermove", (event) => point(nearest(event)));
  front.box.addEventListener("pointerleave", () => point(-1));
  front.box.addEventListener("click", (event) => {
    const index = nearest(event);
    if (index >= 0) toggle(index);
  });
  front.box.addEventListener("keydown", walk);
  front.box.addEventListener("blur", () => point(-1));
  new ResizeObserver(drawFront).observe(front.box);
  drawLegend();
}

function drawFront() {
  const width = front.box.clientWidth;
  const height = Math.round(Math.max(260, Math.min(520, width * 0.72)));
  const pen = clearCanvas(front.canvas, width, height);
  pen.fillStyle = "#ffffff";
  pen.fillRect(0, 0, width, height);
  const area = { left: 58, right: width - 10, top: 10, bottom: height - 44 };
  const xs = data.values[front.x] ?? [];
  const ys = data.values[front.y] ?? [];
  const x = makeScale(xs, area.left, area.right, byId("x-log").checked);
  const y = makeScale(ys, area.bottom, area.top, byId("y-log").checked);
  byId("x-log").disabled = !xs.some((v) => v !== null) || xs.some((v) => v !== null && v <= 0);
  byId("y-log").disabled = !ys.some((v) => v !== null) || ys.some((v) => v !== null && v <= 0);
  front.place = [];
  for (let i = 0; i < numTrials; i += 1) {
    const missing = xs[i] === null || xs[i] === undefined || ys[i] === null || ys[i] === undefined;
    front.place.push(missing ? null : [x(xs[i]), y(ys[i])]);
  }
  drawAxes(pen, area, x, y, width, height);
  pen.globalAlpha = numTrials > 2000 ? 0.25 : 0.45;
  pen.fillStyle = BLUE;
  eachPlace((i) => !trials.pareto[i], (px, py) => disc(pen, px, py, 3));
  pen.globalAlpha = 1;
  drawStep(pen, xs, ys);
  eachPlace((i) => trials.pareto[i], (px, py) => diamond(pen, px, py));
  eachPlace((i) => trials.baseline[i], (px, py) => triangle(pen, px, py));
  drawMarks();
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
  const { clientWidth, clientHeight } = front.canvas;
  const pen = clearCanvas(front.marks, clientWidth, clientHeight);
  front.chosen.forEach((index, order) => mark(pen, index, CHOSEN[order]));
  if (front.hover >= 0 && front.place[front.hover]) {
    const [px, py] = front.place[front.hover];
    pen.strokeStyle = "#1b1f24";
    pen.lineWidth = 2;
    ring(pen, px, py, 10);
  }
}

function drawAxes(pen, area, x, y, width, height) {
  pen.font = "12px system-ui, sans-serif";
  pen.fillStyle = "#1b1f24";
  pen.strokeStyle = "#e4e8ec";
  pen.lineWidth = 1;
  pen.textAlign = "center";
  let last = -Infinity;
  for (const value of x.ticks) {
    const px = x(value);
    line(pen, px, area.top, px, area.bottom);
    if (px - last > 44) {
      pen.fillText(tickText(value), px, area.bottom + 16);
      last = px;
    }
  }
  pen.textAlign = "right";
  for (const value of y.ticks) {
    const py = y(value);
    line(pen, area.left, py, area.right, py);
    pen.fillText(tickText(value), area.left - 6, py + 4);
  }
  pen.strokeStyle = "#57606a";
  line(pen, area.left, area.top, area.left, area.bottom);
  line(pen, area.left, area.bottom, area.right, area.bottom);
  pen.textAlign = "center";
  pen.fillText(axisText(front.x), (area.left + area.right) / 2, height - 8);
  pen.save();
  pen.translate(13, (area.top + area.bottom) / 2);
  pen.rotate(-Math.PI / 2);
  pen.fillText(axisText(front.y), 0, 0);
  pen.restore();
}

function axisText(metric) {
  const note = better(metric);
  return note ? `${metric} (${note})` : metric;
}

// The line along the front of the two metrics shown, if both have a better side.
function drawStep(pen, xs, ys) {
  const signs = [front.x, front.y].map((metric) => {
    const direction = metricOf.get(metric)?.direction;
    return { maximize: 1, minimize: -1 }[direction] ?? 0;
  });
  if (!signs[0] || !signs[1] || front.x === front.y) return;
  const order = [];
  eachPlace(() => true, (px, py, i) => order.push(i));
  order.sort((a, b) => signs[0] * (xs[b] - xs[a]) || signs[1] * (ys[b] - ys[a]));
  pen.strokeStyle = BLUE;
  pen.lineWidth = 1.2;
  pen.beginPath();
  let best = -Infinity;
  let previous = null;
  for (const i of order) {
    if (signs[1] * ys[i] <= best) continue;
    best = signs[1] * ys[i];
    const [px, py] = front.place[i];
    if (previous) {
      pen.lineTo(px, previous[1]);
      pen.lineTo(px, py);
    } else pen.moveTo(px, py);
    previous = [px, py];
  }
  pen.stroke();
}

function eachPlace(wanted, act) {
  front.place.forEach((place, i) => {
    if (place && wanted(i)) act(place[0], place[1], i);
  });
}

function line(pen, x1, y1, x2, y2) {
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

function diamond(pen, x, y) {
  pen.beginPath();
  pen.moveTo(x, y - 6);
  pen.lineTo(x + 6, y);
  pen.lineTo(x, y + 6);
  pen.lineTo(x - 6, y);
  pen.closePath();
  pen.fillStyle = BLUE;
  pen.fill();
  pen.strokeStyle = "#000000";
  pen.lineWidth = 1;
  pen.stroke();
}

function triangle(pen, x, y) {
  pen.beginPath();
  pen.moveTo(x, y - 10);
  pen.lineTo(x + 9, y + 7);
  pen.lineTo(x - 9, y + 7);
  pen.closePath();
  pen.strokeStyle = "#000000";
  pen.lineWidth = 1.6;
  pen.stroke();
}

function mark(pen, index, style) {
  const place = front.place[index];
  if (!place) return;
  pen.strokeStyle = style.colour;
  pen.lineWidth = 2.5;
  ring(pen, place[0], place[1], 9);
  pen.fillStyle = style.colour;
  pen.font = "bold 13px system-ui, sans-serif";
  pen.textAlign = "left";
  pen.fillText(style.letter, place[0] + 11, place[1] - 7);
}

function nearest(event) {
  const box = front.canvas.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  let found = -1;
  let least = NEAR * NEAR;
  front.place.forEach((place, i) => {
    if (!place) return;
    // Front and baselines are what people aim at: of close ones they win.
    const favour = trials.pareto[i] || trials.baseline[i] ? 0.5 : 1;
    const distance = favour * ((place[0] - x) ** 2 + (place[1] - y) ** 2);
    if (distance <= least) [found, least] = [i, distance];
  });
  return found;
}

function point(index) {
  if (index === front.hover) return;
  front.hover = index;
  drawMarks();
  const tooltip = front.tooltip;
  tooltip.hidden = index < 0 || !front.place[index];
  if (tooltip.hidden) return;
  const shown = new Set([...data.objectives.map((o) => o.metric), front.y, front.x]);
  const rows = [...shown].map((metric) =>
    element(
      "tr",
      {},
      element("td", {}, metric),
      element("td", { class: "number" }, writeMetric(metric, index)),
    ),
  );
  tooltip.replaceChildren(
    element("strong", {}, titleOf(index)),
    element("div", { class: "mono" }, placementOf(index)),
    placementPicture(placementOf(index), 13),
    element("table", {}, element("tbody", {}, ...rows)),
    element("div", { class: "note" }, trials.pareto[index] ? "on the front" : ""),
  );
  const [x, y] = front.place[index];
  const [width, height] = [tooltip.offsetWidth, tooltip.offsetHeight];
  const room = front.box.clientWidth;
  const left = x + 16 + width <= room ? x + 16 : Math.max(0, x - width - 16);
  tooltip.style.left = `${Math.min(left, Math.max(0, room - width))}px`;
  tooltip.style.top = `${Math.max(0, Math.min(y - height / 2, front.canvas.clientHeight - height))}px`;
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
}

function walk(event) {
  const stops = [];
  eachPlace((i) => trials.pareto[i] || trials.baseline[i], (px, py, i) => stops.push(i));
  stops.sort((a, b) => front.place[a][0] - front.place[b][0] || b - a);
  const at = stops.indexOf(front.hover);
  const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
  if (step && stops.length) {
    const from = at < 0 ? (step > 0 ? -1 : stops.length) : at;
    point(stops[Math.max(0, Math.min(stops.length - 1, from + step))]);
  } else if (event.key === "Home" && stops.length) point(stops[0]);
  else if (event.key === "End" && stops.length) point(stops[stops.length - 1]);
  else if ((event.key === "Enter" || event.key === " ") && front.hover >= 0) {
    toggle(front.hover);
  } else if (event.key === "Escape") {
    front.chosen = [];
    point(-1);
    drawMarks();
    showChosen();
  } else return;
  event.preventDefault();
}

function drawLegend() {
  const shapes = [
    ["dominated trial", drawing("circle", { cx: 8, cy: 8, r: 3.5, fill: BLUE, opacity: 0.5 })],
    ["on the front", drawing("path", { d: "M8 2l6 6-6 6-6-6z", fill: BLUE, stroke: "#000" })],
    ["baseline", drawing("path", { d: "M8 1l7 13H1z", fill: "none", stroke: "#000", "stroke-width": 1.5 })],
  ];
  for (const [text, shape] of shapes) {
    const icon = drawing("svg", { width: 16, height: 16, "aria-hidden": "true" }, shape);
    byId("legend").append(element("span", {}, icon, text));
  }
  for (const { letter, name, colour, ink } of data.kinds) {
    const icon = drawing(
      "svg",
      { width: 26, height: 16, "aria-hidden": "true" },
      drawing("rect", { width: 26, height: 16, rx: 2.5, fill: colour }),
      drawing(
        "text",
        { x: 13, y: 12, "font-size": 11, "text-anchor": "middle", fill: ink },
        letter,
      ),
    );
    byId("legend").append(element("span", {}, icon, `${name} block`));
  }
}
