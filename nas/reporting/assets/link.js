// What goes out of the page: its address, copies, files.

function writeLink() {
  const parts = new URLSearchParams();
  parts.set("x", front.x ?? "");
  parts.set("y", front.y ?? "");
  if (front.chosen.length) parts.set("sel", front.chosen.map((i) => trials.number[i]).join(","));
  if (filter.text) parts.set("q", filter.text);
  if (filter.states) parts.set("state", filter.states);
  if (filter.frontOnly) parts.set("front", "1");
  if (table.sort) parts.set("sort", table.sort);
  for (const [slot, letter] of filter.letters) parts.append("slot", `${slot}:${letter}`);
  for (const [metric, [low, high]] of filter.ranges) parts.append("range", `${metric}:${low}:${high}`);
  history.replaceState(null, "", `#${parts}`);
}

// Whether the address says anything; what it says is taken over.
function readLink() {
  const parts = new URLSearchParams(location.hash.slice(1));
  if (![...parts.keys()].length) return false;
  for (const axis of ["x", "y"]) if (data.values[parts.get(axis)]) front[axis] = parts.get(axis);
  const numbers = (parts.get("sel") ?? "").split(",").filter(Boolean).map(Number);
  front.chosen = numbers.map((n) => indexOf.get(n)).filter((i) => i !== undefined).slice(0, CHOSEN.length);
  filter.text = parts.get("q") ?? "";
  filter.states = data.states.includes(parts.get("state")) ? parts.get("state") : "";
  filter.frontOnly = parts.get("front") === "1";
  table.sort = parts.get("sort") ?? "";
  filter.letters = new Map(
    parts.getAll("slot").map((text) => text.split(":")).filter(([, letter]) => letter),
  );
  filter.ranges = new Map();
  for (const text of parts.getAll("range")) {
    const [metric, low, high] = text.split(":");
    const bounds = [Number(low), Number(high)];
    if (data.values[metric] && bounds.every(Number.isFinite)) filter.ranges.set(metric, bounds);
  }
  return true;
}

function architectureText(index) {
  const { texts, of } = data.recipes;
  if (!of.length || of[index] < 0) return "";
  return texts[of[index]].replaceAll("@PLACEMENT@", placementOf(index));
}

function copyButton(text, what) {
  const button = element("button", { type: "button" }, text);
  button.addEventListener("click", async () => {
    const done = await copy(what());
    button.textContent = done ? "Copied" : "Cannot copy here";
    setTimeout(() => (button.textContent = text), 1500);
  });
  return button;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element("textarea", { "aria-label": "Text to copy" }, text);
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy"); // where there is no clipboard object
    area.remove();
    return done;
  }
}

function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const anchor = element("a", { href: address, download: `${data.study}-${name}` });
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
