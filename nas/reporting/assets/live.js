// News from the server of this page: what runs now, new trials, notes.

const PERIOD = 2500;

async function ask() {
  try {
    const answer = await fetch(`${data.live.address}status.json`);
    if (answer.ok) {
      const status = await answer.json();
      showRunning(status);
      if (status.version !== data.live.version) await renew();
    }
  } catch {
    byId("live-body").replaceChildren(note("The server does not answer; what is shown stays."));
  }
  setTimeout(ask, PERIOD);
}

// New data; what is selected, filtered and sorted stays, also while somebody writes.
async function renew() {
  if (document.activeElement?.closest("#selected form")) return;
  const answer = await fetch(`${data.live.address}data.json?version=${data.live.version}`);
  if (answer.status !== 200) return;
  const numbers = front.chosen.map((i) => trials.number[i]);
  const [scrolled, active] = [table.box.scrollTop, table.active];
  take(await answer.json());
  front.chosen = numbers.map((n) => indexOf.get(n)).filter((i) => i !== undefined);
  if (!front.chosen.length && numbers.length === 0) front.chosen = firstChosen();
  showAll();
  table.active = Math.min(active, Math.max(0, table.rows.length - 1));
  table.box.scrollTop = scrolled;
}

function showRunning(status) {
  byId("live").hidden = false;
  const counts = Object.entries(status.counts).filter(([, n]) => n).map(([s, n]) => `${n} ${s}`);
  const left = status.seconds_left === null ? "" : `, ${Math.ceil(status.seconds_left / 60)} min left`;
  const head = element("p", {}, `${status.state}: ${counts.join(", ") || "no trial yet"} of ${status.num_trials}${left}.`);
  const rows = status.running.map((one) => {
    const last = one.last ?? {};
    const loss = known(last.val_loss) ? write(last.val_loss) : known(last.train_loss) ? write(last.train_loss) : "–";
    const epoch = one.epochs === undefined ? "–" : `${one.epochs} of ${one.wanted_epochs}`;
    const cells = [one.number, one.placement, `${Math.round(one.seconds)} s`, epoch, loss, known(last.val_accuracy) ? write(last.val_accuracy) : "–"];
    return element("tr", {}, ...cells.map((text, at) => element("td", { class: at === 1 ? "mono" : "" }, String(text))));
  });
  const titles = ["trial", "placement", "for", "epoch", "loss", "accuracy"];
  const grid = element("table", {}, element("thead", {}, element("tr", {}, ...titles.map((t) => element("th", { scope: "col" }, t)))), element("tbody", {}, ...rows));
  const preparing = status.preparing.map((text) => element("p", { class: "note" }, text));
  byId("live-body").replaceChildren(head, ...preparing, ...(rows.length ? [grid] : []));
}

function noteForm(number, kept) {
  const text = element("textarea", { rows: 2, maxlength: 1500, "aria-label": `Note on trial ${number}` }, kept?.note ?? "");
  const tags = element("input", { type: "text", "aria-label": `Tags of trial ${number}, comma between`, placeholder: "tags, comma between", value: (kept?.tags ?? []).join(", ") });
  const said = element("span", { class: "note", role: "status" });
  const form = element("form", {}, text, tags, element("button", {}, "Save note"), said);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = { number, note: text.value, tags: tags.value.split(",").map((tag) => tag.trim()).filter(Boolean) };
    try {
      const answer = await fetch(`${data.live.address}note`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
      const found = await answer.json();
      said.textContent = answer.ok ? "Kept." : found.error;
      if (answer.ok) data.notes[String(number)] = found;
    } catch {
      said.textContent = "The server does not answer.";
    }
  });
  return form;
}

if (data.live) ask();
