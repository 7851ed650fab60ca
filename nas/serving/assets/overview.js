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
  const side = (one) => `${one.metric} (${one.direction === "maximize" ? "more" : "less"} is better)`;
  const isKnown = (p) => p[x.metric] !== null && p[y.metric] !== null;
  const points = members.flatMap((study) => study.points.filter(isKnown));
  if (!points.length) {
    const names = members.map((study) => study.study).join(", ");
    return element("p", { class: "note" }, `${names}: no trial has been measured yet.`);
  }
  const title = `Fronts of ${members.map((m) => m.study).join(", ")}`;
  const chart = makeChart({
    title: members.length === 1 ? members[0].study : `${members.length} studies`,
    xLabel: side(x),
    yLabel: side(y),
    xs: points.map((p) => p[x.metric]),
    ys: points.map((p) => p[y.metric]),
  });
  chart.svg.setAttribute("aria-label", title);
  for (const study of members) {
    const colour = COLOURS[study.at % COLOURS.length];
    const places = study.points
      .filter(isKnown)
      .sort((a, b) => a[x.metric] - b[x.metric])
      .map((p) => [chart.x(p[x.metric]), chart.y(p[y.metric]), p]);
    const path = places.map(([px, py]) => `${px},${py}`).join("L");
    if (places.length) {
      chart.svg.append(drawing("path", { d: `M${path}`, fill: "none", stroke: colour, "stroke-dasharray": DASHES[study.at % DASHES.length] }));
    }
    for (const [px, py, p] of places) {
      const dot = drawing("circle", { cx: px, cy: py, r: 4, fill: colour, stroke: "var(--ink)" });
      dot.append(drawing("title", {}, `${study.study} ${p.number}: ${p.placement}`));
      chart.svg.append(dot);
    }
  }
  const key = element("figcaption", { class: "legend" }, ...members.map((study) => {
    const icon = drawing("svg", { width: 16, height: 16, "aria-hidden": "true" }, drawing("circle", { cx: 8, cy: 8, r: 5, fill: COLOURS[study.at % COLOURS.length] }));
    return element("span", {}, icon, study.study);
  }));
  return element("figure", { class: "plot narrow" }, chart.svg, key);
}

function card(study) {
  const { status } = study;
  const counts = Object.entries(status.counts).filter(([, n]) => n).map(([state, n]) => `${n} ${state}`);
  const best = Object.entries(status.best).map(([metric, one]) => `best ${metric} ${write(one.value)} (trial ${one.number}, ${one.placement})`);
  const left = status.seconds_left === null ? [] : [`${Math.ceil(status.seconds_left / 60)} min left`];
  const lines = [`${status.state}: ${counts.join(", ") || "no trial yet"} of ${status.num_trials}`, ...left, ...best, `${study.num_pareto} on the front`];
  const running = [...status.preparing, ...status.running.map(runningText)].map((text) => element("li", {}, text));
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
