// What is kept of the trials: text, states, letters of slots, ranges of metrics.

const filter = { text: "", states: "", frontOnly: false, letters: new Map(), ranges: new Map() };
const SLIDER_STEPS = 200;

function setUpFilter() {
  byId("filter-text").addEventListener("input", (event) => {
    filter.text = event.target.value;
    filtered();
  });
  byId("filter-state").addEventListener("change", (event) => {
    filter.states = event.target.value;
    filtered();
  });
  byId("filter-front").addEventListener("change", (event) => {
    filter.frontOnly = event.target.checked;
    filtered();
  });
  byId("filter-metric").addEventListener("change", (event) => {
    if (event.target.value) addRange(event.target.value);
    event.target.value = "";
  });
  byId("filter-clear").addEventListener("click", () => {
    Object.assign(filter, { text: "", states: "", frontOnly: false });
    filter.letters.clear();
    filter.ranges.clear();
    offerFilter();
    filtered();
  });
}

function offerFilter() {
  byId("filter-text").value = filter.text;
  byId("filter-front").checked = filter.frontOnly;
  const there = data.states.filter((_, at) => trials.state.includes(at));
  byId("filter-state").replaceChildren(
    ...["", ...there].map((name) => element("option", { value: name }, name || "every state")),
  );
  byId("filter-state").value = filter.states;
  const names = data.metrics.map((metric) => metric.name).filter((n) => data.values[n]);
  byId("filter-metric").replaceChildren(
    element("option", { value: "" }, "bounds on …"),
    ...names.map((name) => element("option", { value: name }, name)),
  );
  byId("filter-ranges").replaceChildren();
  for (const name of filter.ranges.keys()) addRange(name);
  offerLetters();
}

// A button for every slot, from any letter to each of those that trials have there.
// Not lists to choose from: fifteen of them took a quarter of the time the page opens in.
function offerLetters() {
  // Of 10,000 placements few have a stage that no other has.
  const texts = [];
  for (const placement of data.placements) {
    placement.split("-").forEach((text, stage) => (texts[stage] ??= new Set()).add(text));
  }
  const stages = texts.map((distinct) => {
    const blocks = [];
    for (const text of distinct) {
      [...text].forEach((letter, block) => {
        const seen = (blocks[block] ??= []);
        if (!seen.includes(letter)) seen.push(letter);
      });
    }
    return blocks;
  });
  const buttonFor = (letters, stage, block) => {
    const key = `${stage + 1}.${block + 1}`;
    const choices = ["", ...letters.sort()];
    const button = element("button", { type: "button" });
    const show = () => {
      const letter = filter.letters.get(key);
      button.textContent = letter ?? "·";
      button.setAttribute("aria-label", `Letter of stage ${stage + 1}, block ${block + 1}: ${letter ?? "any"}`);
    };
    button.addEventListener("click", () => {
      const at = choices.indexOf(filter.letters.get(key) ?? "");
      const next = choices[(at + 1) % choices.length];
      if (next) filter.letters.set(key, next);
      else filter.letters.delete(key);
      show();
      filtered();
    });
    show();
    return button;
  };
  byId("filter-letters").replaceChildren(
    "letters, by a click:",
    ...stages.map((slots, stage) =>
      element(
        "span",
        { class: "slots", role: "group", "aria-label": `Stage ${stage + 1}` },
        `s${stage + 1} `,
        ...slots.map((letters, block) => buttonFor(letters, stage, block)),
      ),
    ),
  );
}

// Two sliders and what they stand at.
function addRange(metric) {
  const numbers = data.values[metric].filter(known);
  if (!numbers.length || byId("filter-ranges").querySelector(`[data-metric="${CSS.escape(metric)}"]`)) return;
  const [low, high] = [least(numbers), most(numbers)];
  const kept = filter.ranges.get(metric) ?? [low, high];
  filter.ranges.set(metric, kept);
  const text = element("output", {});
  const slider = (at, name) => {
    const share = high > low ? (kept[at] - low) / (high - low) : at;
    const input = element("input", { type: "range", min: 0, max: SLIDER_STEPS, step: 1, "aria-label": `${name} ${metric}` });
    input.value = Math.round(share * SLIDER_STEPS);
    input.addEventListener("input", () => {
      const value = low + (Number(input.value) / SLIDER_STEPS) * (high - low);
      kept[at] = Number(input.value) === (at ? SLIDER_STEPS : 0) ? (at ? high : low) : value;
      say();
      filtered();
    });
    return input;
  };
  const say = () => (text.textContent = `${write(kept[0], 3)} to ${write(kept[1], 3)}`);
  say();
  const row = element("div", { class: "range", "data-metric": metric }, element("span", {}, metric), slider(0, "Least"), slider(1, "Most"), text);
  row.append(
    element(
      "button",
      {
        type: "button",
        "aria-label": `No bounds on ${metric}`,
        onclick: () => {
          filter.ranges.delete(metric);
          row.remove();
          filtered();
        },
      },
      "✕",
    ),
  );
  byId("filter-ranges").append(row);
}

// A text matches a placement, a number (#12), a baseline, an error or a tag.
function matches(index, wanted) {
  if (wanted.startsWith("#")) return String(trials.number[index]) === wanted.slice(1);
  const kept = data.notes[String(trials.number[index])];
  return (
    placementOf(index).toLowerCase().includes(wanted) ||
    trials.baseline[index].toLowerCase().includes(wanted) ||
    (kept && `${kept.note ?? ""} ${(kept.tags ?? []).join(" ")}`.toLowerCase().includes(wanted))
  );
}

function keptTrials() {
  const wanted = filter.text.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const state = data.states.indexOf(filter.states);
  const letters = [...filter.letters].map(([key, letter]) => {
    const [stage, block] = key.split(".").map(Number);
    return [stage - 1, block - 1, letter];
  });
  const fits = data.placements.map((placement) => {
    const stages = placement.split("-");
    return letters.every(([stage, block, letter]) => stages[stage]?.[block] === letter);
  });
  const ranges = [...filter.ranges].filter(([metric]) => data.values[metric]);
  if (state < 0 && !filter.frontOnly && ![wanted, letters, ranges].some((one) => one.length)) {
    return Array.from(trials.number, (_, i) => i);
  }
  const kept = [];
  for (let i = 0; i < numTrials; i += 1) {
    if (state >= 0 && trials.state[i] !== state) continue;
    if (filter.frontOnly && !trials.pareto[i] && !trials.baseline[i]) continue;
    if (!fits[trials.placement[i]]) continue;
    const inside = ranges.every(([metric, [low, high]]) => {
      const value = data.values[metric][i];
      return known(value) && value >= low && value <= high;
    });
    if (inside && wanted.every((word) => matches(i, word))) kept.push(i);
  }
  return kept;
}

function filtered() {
  refill();
  drawFront();
  writeLink();
}
