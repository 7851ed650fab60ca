// Every trial in a table of which only the rows in sight are made.

const ROW = 34; // pixels; the style sheet says the same
const SPARE = 3; // rows above and below those in sight
const MAX_PRINTED = 400;
const table = {
  box: byId("table-box"),
  grid: byId("table-grid"),
  body: byId("table-rows"),
  rows: [],
  isAll: true,
  keeps: () => true,
  columns: [],
  sort: "",
  active: 0,
  from: -1,
  height: 0,
  isPrinted: false,
};

function setUpTable() {
  table.box.addEventListener("scroll", () => showRows());
  table.grid.addEventListener("keydown", walkRows);
  table.grid.addEventListener("focus", () => markRows());
  table.body.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-index]");
    if (!row) return;
    table.active = Number(row.dataset.at);
    toggle(Number(row.dataset.index));
  });
  byId("save-csv").addEventListener("click", () =>
    save(new Blob([csvText()], { type: "text/csv" }), "trials.csv"),
  );
  new ResizeObserver(() => {
    if (table.box.clientHeight === table.height) return;
    table.height = table.box.clientHeight;
    showRows(true);
  }).observe(table.box);
  window.addEventListener("beforeprint", () => printRows(true));
  window.addEventListener("afterprint", () => printRows(false));
}

function makeColumns() {
  const text = (name, of, more = {}) => ({ name, value: of, text: (i) => String(of(i) ?? ""), ...more });
  const objectives = data.objectives.map((objective) => objective.metric);
  const others = data.metrics.map((m) => m.name).filter((n) => !objectives.includes(n));
  const metric = (name) => ({
    name,
    width: 180,
    number: true,
    value: (i) => data.values[name]?.[i] ?? null,
    text: (i) => (difference(name, i)?.isTold === false ? "≈ " : "") + writeMetric(name, i),
    title: metricOf.get(name)?.definition ?? "",
    minor: !objectives.includes(name),
  });
  table.columns = [
    text("trial", (i) => trials.number[i], { number: true, width: 70 }),
    text("placement", placementOf, { mono: true, width: Math.max(150, 10 * most(data.placements.map((p) => p.length)) + 20) }),
    text("front", (i) => (trials.pareto[i] ? "yes" : ""), { width: 64 }),
    text("baseline", (i) => trials.baseline[i], { width: 110 }),
    ...objectives.map(metric),
    text("state", (i) => data.states[trials.state[i]], { width: 90 }),
    text("seed", (i) => trials.seed[i], { number: true, width: 70, minor: true }),
    text("epochs", (i) => trials.epochs[i], { number: true, width: 80, minor: true }),
    text("seconds", (i) => trials.duration_s[i], { number: true, width: 90, minor: true }),
    text("tags", (i) => (data.notes[String(trials.number[i])]?.tags ?? []).join(", "), { width: 130, minor: true }),
    ...others.filter((name) => data.values[name]).map(metric),
  ];
}

function offerTable() {
  makeColumns();
  const head = table.columns.map((column) =>
    element(
      "th",
      { scope: "col", title: column.title ?? "", class: classOf(column), "data-column": column.name },
      element("button", { type: "button", onclick: () => sortBy(column.name) }, column.name),
    ),
  );
  byId("table-head").replaceChildren(...head);
  const widths = table.columns.map((column) =>
    element("col", { style: `width:${column.width ?? 100}px`, class: column.minor ? "minor" : "" }),
  );
  byId("table-widths").replaceChildren(...widths);
  table.grid.style.setProperty("--wide", `${table.columns.reduce((sum, c) => sum + (c.width ?? 100), 0)}px`);
  table.grid.setAttribute("aria-colcount", table.columns.length);
  refill();
}

function classOf(column) {
  return [column.number ? "number" : "", column.mono ? "mono" : "", column.minor ? "minor" : ""].join(" ").trim();
}

function sortBy(name) {
  table.sort = table.sort === name ? `-${name}` : table.sort === `-${name}` ? "" : name;
  refill();
  writeLink();
}

// Filter, sort, and start at the top.
function refill() {
  table.rows = keptTrials();
  table.isAll = table.rows.length === numTrials;
  const kept = new Set(table.isAll ? [] : table.rows);
  table.keeps = (index) => table.isAll || kept.has(index);
  const name = table.sort.replace(/^-/, "");
  const column = table.columns.find((one) => one.name === name);
  const order = table.sort.startsWith("-") ? -1 : 1;
  if (column) {
    const keys = [];
    for (const i of table.rows) keys[i] = column.value(i);
    table.rows.sort((a, b) => {
      const [left, right] = [keys[a], keys[b]];
      if (left === right) return a - b;
      if (!known(left) || left === "") return 1; // what is missing comes last
      if (!known(right) || right === "") return -1;
      return order * (left < right ? -1 : 1);
    });
  }
  for (const head of byId("table-head").children) {
    const isSorted = head.dataset.column === name;
    head.setAttribute("aria-sort", isSorted ? (order > 0 ? "ascending" : "descending") : "none");
  }
  table.grid.setAttribute("aria-rowcount", table.rows.length + 1);
  table.active = 0;
  if (table.from >= 0) table.box.scrollTop = 0; // at first it would cost a layout
  byId("table-count").textContent = `${table.rows.length.toLocaleString("en")} of ${numTrials.toLocaleString("en")} trials`;
  showRows(true);
}

function showRows(always = false) {
  const { isPrinted } = table;
  table.height ||= table.box.clientHeight;
  const from = isPrinted || table.from < 0 ? 0 : Math.max(0, Math.floor(table.box.scrollTop / ROW) - SPARE);
  if (from === table.from && !always) return;
  table.from = from;
  const count = isPrinted ? MAX_PRINTED : Math.ceil(table.height / ROW) + 2 * SPARE;
  const shown = table.rows.slice(from, from + count);
  const below = isPrinted ? 0 : table.rows.length - from - shown.length;
  const space = (rows) =>
    element("tr", { "aria-hidden": "true", class: "space" }, element("td", { colspan: table.columns.length, style: `height:${rows * ROW}px` }));
  table.body.replaceChildren(
    ...(from ? [space(from)] : []),
    ...shown.map((index, at) => tableRow(index, from + at)),
    ...(below > 0 ? [space(below)] : []),
  );
  byId("table-printed").textContent =
    table.rows.length > MAX_PRINTED ? `The first ${MAX_PRINTED} of ${table.rows.length} rows.` : "";
  markRows();
}

// Paper does not scroll: the first rows are all there.
function printRows(isPrinted) {
  table.isPrinted = isPrinted;
  showRows(true);
}

function tableRow(index, at) {
  const cells = table.columns.map((column) => element("td", { class: classOf(column) }, column.text(index)));
  return element("tr", { id: `row-${at}`, "data-index": index, "data-at": at, "aria-rowindex": at + 2 }, ...cells);
}

// Selected rows in colour, and the one that the keyboard is at.
function markRows() {
  const hasFocus = document.activeElement === table.grid;
  for (const row of table.body.querySelectorAll("tr[data-index]")) {
    const isChosen = front.chosen.includes(Number(row.dataset.index));
    row.classList.toggle("selected", isChosen);
    row.setAttribute("aria-selected", isChosen);
    row.classList.toggle("active", hasFocus && Number(row.dataset.at) === table.active);
  }
  if (byId(`row-${table.active}`)) table.grid.setAttribute("aria-activedescendant", `row-${table.active}`);
  else table.grid.removeAttribute("aria-activedescendant");
}

function walkRows(event) {
  if (event.target !== table.grid) return;
  const page = Math.max(1, Math.floor(table.box.clientHeight / ROW) - 2);
  const last = table.rows.length - 1;
  const goal = {
    ArrowDown: table.active + 1,
    ArrowUp: table.active - 1,
    PageDown: table.active + page,
    PageUp: table.active - page,
    Home: 0,
    End: last,
  }[event.key];
  if (goal !== undefined && last >= 0) {
    table.active = Math.max(0, Math.min(last, goal));
    const top = table.active * ROW;
    const { scrollTop, clientHeight } = table.box;
    if (top < scrollTop) table.box.scrollTop = top;
    else if (top + 3 * ROW > scrollTop + clientHeight) table.box.scrollTop = top + 3 * ROW - clientHeight;
    showRows();
    markRows();
  } else if ((event.key === "Enter" || event.key === " ") && last >= 0) {
    toggle(table.rows[table.active]);
  } else return;
  event.preventDefault();
}

// All metrics of the rows that are kept; no text that a spreadsheet takes for a formula.
function csvText() {
  const metrics = Object.keys(data.values);
  const names = ["number", "state", "placement", "is_pareto", "baseline", "seed", "epochs", "duration_s"];
  const errors = metrics.filter((name) => data.errors[name]);
  const rows = table.rows.map((i) => [
    trials.number[i],
    data.states[trials.state[i]],
    placementOf(i),
    Boolean(trials.pareto[i]),
    trials.baseline[i],
    trials.seed[i],
    trials.epochs[i],
    trials.duration_s[i],
    ...metrics.map((name) => data.values[name][i]),
    ...errors.map((name) => data.errors[name][i]),
  ]);
  const head = [...names, ...metrics, ...errors.map((name) => `${name}_se`)];
  return [head, ...rows].map((row) => row.map(csvCell).join(",")).join("\n") + "\n";
}

function csvCell(value) {
  if (!known(value)) return "";
  if (typeof value !== "string") return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
