// Fronts of several studies in one figure for each pair of objectives they share.

const COLOURS = ["var(--accent)", "var(--warm)", "var(--chosen-c)", "var(--chosen-d)", "var(--soft)"];
const DASHES = ["", "6 3", "2 3", "9 3 2 3", "4 4"];
const PERIOD = 4000;

function show(studies) {
  const groups = new Map();
  studies.forEach((study, at) => {
    const [y, x = y] = study.objectives;
    const key = JSON.stringify([x, y]);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push({ ...study, at });
  });
  byId("fronts").replaceChildren(
    ...[...groups].map(([key, members]) => figure(...JSON.parse(key), members)),
  );
  byId("states").replaceChildren(...studies.map(card));
}

function figure(x, y, members) {
  const [width, height, left, bottom] = [460, 320, 66, 280];
  const points = members.flatMap((study) => study.points);
  const scale = (metric, from, to) => {
    const values = points.map((p) => p[metric]).filter((v) => v !== null);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const span = high - low || Math.abs(low) || 1;
    const map = (v) => from + ((v - low + 0.05 * span) / (1.1 * span)) * (to - from);
    return { map, ticks: values.length ? [low, (low + high) / 2, high] : [] };
  };
  const [sx, sy] = [scale(x.metric, left, width - 12), scale(y.metric, bottom, 12)];
  const label = `Fronts of ${members.map((m) => m.study).join(", ")}`;
  const svg = drawing("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, "font-size": 12, fill: "var(--ink)" });
  for (const tick of new Set(sx.ticks)) {
    svg.append(drawing("text", { x: sx.map(tick), y: bottom + 16, "text-anchor": "middle" }, write(tick)));
  }
  for (const tick of new Set(sy.ticks)) {
    svg.append(
      drawing("line", { x1: left, x2: width - 12, y1: sy.map(tick), y2: sy.map(tick), stroke: "var(--line)" }),
      drawing("text", { x: left - 6, y: sy.map(tick) + 4, "text-anchor": "end" }, write(tick)),
    );
  }
  const side = (one) => `${one.metric} (${one.direction === "maximize" ? "more" : "less"} is better)`;
  svg.append(
    drawing("path", { d: `M${left},12V${bottom}H${width - 12}`, fill: "none", stroke: "var(--soft)" }),
    drawing("text", { x: (left + width) / 2, y: height - 8, "text-anchor": "middle" }, side(x)),
    drawing("text", { transform: `translate(12 ${bottom / 2}) rotate(-90)`, "text-anchor": "middle" }, side(y)),
  );
  for (const study of members) {
    const colour = COLOURS[study.at % COLOURS.length];
    const places = study.points
      .filter((p) => p[x.metric] !== null && p[y.metric] !== null)
      .sort((a, b) => a[x.metric] - b[x.metric])
      .map((p) => [sx.map(p[x.metric]), sy.map(p[y.metric]), p]);
    const path = places.map(([px, py]) => `${px},${py}`).join("L");
    if (places.length) {
      svg.append(drawing("path", { d: `M${path}`, fill: "none", stroke: colour, "stroke-dasharray": DASHES[study.at % DASHES.length] }));
    }
    for (const [px, py, p] of places) {
      const dot = drawing("circle", { cx: px, cy: py, r: 4, fill: colour, stroke: "var(--ink)" });
      dot.append(drawing("title", {}, `${study.study} ${p.number}: ${p.placement}`));
      svg.append(dot);
    }
  }
  const key = element("figcaption", { class: "legend" }, ...members.map((study) => {
    const icon = drawing("svg", { width: 16, height: 16, "aria-hidden": "true" }, drawing("circle", { cx: 8, cy: 8, r: 5, fill: COLOURS[study.at % COLOURS.length] }));
    return element("span", {}, icon, study.study);
  }));
  return element("figure", { class: "plot" }, svg, key);
}

function card(study) {
  const { status } = study;
  const counts = Object.entries(status.counts).filter(([, n]) => n).map(([state, n]) => `${n} ${state}`);
  const best = Object.entries(status.best).map(([metric, one]) => `best ${metric} ${write(one.value)} (trial ${one.number}, ${one.placement})`);
  const left = status.seconds_left === null ? [] : [`${Math.ceil(status.seconds_left / 60)} min left`];
  const lines = [`${status.state}: ${counts.join(", ") || "no trial yet"} of ${status.num_trials}`, ...left, ...best, `${study.num_pareto} on the front`];
  const running = status.running.map((one) => element("li", {}, runningText(one)));
  return element(
    "article",
    { class: "card" },
    element("h3", {}, element("a", { href: study.address }, study.study)),
    ...lines.map((text) => element("p", { class: "note" }, text)),
    ...(running.length ? [element("ul", {}, ...running)] : []),
  );
}

function runningText(one) {
  const parts = [`trial ${one.number} ${one.placement}`, `${Math.round(one.seconds)} s`];
  if (one.epochs !== undefined) parts.push(`epoch ${one.epochs} of ${one.wanted_epochs}`);
  for (const [name, value] of Object.entries(one.last ?? {})) {
    if (["train_loss", "val_loss", "val_accuracy"].includes(name) && value !== null) parts.push(`${name} ${write(value)}`);
  }
  return parts.join(", ");
}

async function ask() {
  try {
    const answer = await fetch("/overview.json");
    if (answer.ok) show(await answer.json());
  } catch {
    // the server has ended: what is shown stays
  }
  setTimeout(ask, PERIOD);
}

show(JSON.parse(byId("data").textContent));
document.documentElement.dataset.ready = "true";
setTimeout(ask, PERIOD);
