// Start: what the address says; else the best model, and a baseline or another beside it.

function firstChosen() {
  const { metric, direction } = data.objectives[0];
  const sign = direction === "maximize" ? 1 : -1;
  const value = (i) => sign * (data.values[metric]?.[i] ?? -sign * Infinity);
  const onFront = [];
  for (let i = 0; i < numTrials; i += 1) if (trials.pareto[i]) onFront.push(i);
  onFront.sort((a, b) => value(b) - value(a));
  const [best, second = -1] = onFront;
  if (best === undefined) return [];
  const baselines = [...trials.baseline.keys()].filter(
    (i) => trials.baseline[i] && isTrained(i) && placementOf(i) !== placementOf(best),
  );
  const baseline = baselines.find((i) => detailsOf(i)) ?? baselines[0] ?? -1;
  return [best, baseline >= 0 ? baseline : second].filter((index) => index >= 0);
}

// Everything again from the data, which may be new ones.
function showAll() {
  networkMeans.clear();
  showHeader();
  offerAxes();
  offerFilter();
  offerTable();
  showChosen();
  showSlots();
  showProgress();
  showForecast();
  showFailures();
  showData();
  showGlossary();
  showProvenance();
  drawFront();
}

function repaint() {
  readLook();
  drawFront();
}

setUpFront();
setUpFilter();
setUpTable();
byId("curve-column").addEventListener("change", curveFigure);
if (!readLink()) front.chosen = firstChosen();
showAll();
window.addEventListener("hashchange", () => readLink() && showAll());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
matchMedia("print").addEventListener("change", repaint);
document.documentElement.dataset.ready = "true";
