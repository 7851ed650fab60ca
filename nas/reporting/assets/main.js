// Start: the best model is selected, and a baseline or another of the front beside it.

function firstChosen() {
  const { metric, direction } = data.objectives[0];
  const sign = direction === "maximize" ? 1 : -1;
  const value = (i) => sign * (data.values[metric]?.[i] ?? -sign * Infinity);
  const onFront = [];
  for (let i = 0; i < numTrials; i += 1) if (trials.pareto[i]) onFront.push(i);
  onFront.sort((a, b) => value(b) - value(a));
  const [best, second = -1] = onFront;
  if (best === undefined) return [];
  const baseline = trials.baseline.findIndex((name, i) => name && i !== best);
  return [best, baseline >= 0 ? baseline : second].filter((index) => index >= 0);
}

front.chosen = firstChosen();
showHeader();
setUpFront();
showTable();
showSlots();
showProgress();
showFailures();
showProvenance();
drawFront();
document.documentElement.dataset.ready = "true";
