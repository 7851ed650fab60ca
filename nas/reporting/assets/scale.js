// Numbers to pixels, and ticks at round numbers.

function makeScale(values, from, to, wantsLog = false) {
  const finite = values.filter((value) => value !== null && value !== undefined);
  let low = Infinity;
  let high = -Infinity;
  for (const value of finite) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) [low, high] = [0, 1];
  const isLog = wantsLog && low > 0;
  const forth = isLog ? Math.log10 : (value) => value;
  const back = isLog ? (value) => 10 ** value : (value) => value;
  let [start, end] = [forth(low), forth(high)];
  const pad = (end - start) * 0.05 || Math.abs(start) * 0.05 || 0.5;
  start -= pad;
  end += pad;
  const scale = (value) => from + ((forth(value) - start) / (end - start)) * (to - from);
  scale.ticks = isLog ? logTicks(start, end) : linearTicks(start, end);
  // There is no trial 2.5.
  if (finite.every(Number.isInteger)) scale.ticks = scale.ticks.filter(Number.isInteger);
  scale.isLog = isLog;
  scale.low = back(start);
  scale.high = back(end);
  return scale;
}

function linearTicks(start, end, about = 7) {
  const rough = (end - start) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) * power;
  const ticks = [];
  for (let n = Math.ceil(start / step); n * step <= end; n += 1) {
    ticks.push(Number((n * step).toPrecision(12)));
  }
  return ticks;
}

function logTicks(start, end) {
  const ticks = [];
  for (let power = Math.floor(start); power <= Math.ceil(end); power += 1) {
    for (const factor of end - start > 2 ? [1] : [1, 2, 5]) {
      const value = factor * 10 ** power;
      const place = Math.log10(value);
      if (place >= start && place <= end) ticks.push(Number(value.toPrecision(12)));
    }
  }
  return ticks.length > 1 ? ticks : linearTicks(10 ** start, 10 ** end);
}

function tickText(value) {
  const size = Math.abs(value);
  if (size >= 1e9) return `${Number((value / 1e9).toPrecision(4))}G`;
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(4))}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(4))}k`;
  if (size !== 0 && size < 1e-3) return value.toExponential(0);
  return String(Number(value.toPrecision(6)));
}

// An SVG chart with axes; draw(chart, x, y) fills it in.
function makeChart({ title, xLabel, yLabel, xs, ys, logY = false, xTicks = null }) {
  const [width, height] = [440, 280];
  const area = { left: 66, right: width - 12, top: 30, bottom: height - 42 };
  const x = makeScale(xs, area.left, area.right);
  const y = makeScale(ys, area.bottom, area.top, logY);
  const svg = drawing("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": title,
    "font-size": 12,
    fill: "var(--ink)",
  });
  svg.append(drawing("text", { x: 4, y: 16, "font-weight": 700 }, title));
  for (const value of xTicks ?? x.ticks) {
    svg.append(
      drawing(
        "text",
        { x: x(value), y: area.bottom + 16, "text-anchor": "middle" },
        tickText(value),
      ),
    );
  }
  for (const value of y.ticks) {
    svg.append(
      drawing("line", {
        x1: area.left, x2: area.right, y1: y(value), y2: y(value), stroke: "var(--line)",
      }),
      drawing(
        "text",
        { x: area.left - 6, y: y(value) + 4, "text-anchor": "end" },
        tickText(value),
      ),
    );
  }
  svg.append(
    drawing("path", {
      d: `M${area.left},${area.top}V${area.bottom}H${area.right}`,
      fill: "none",
      stroke: "var(--soft)",
    }),
    drawing(
      "text",
      { x: (area.left + area.right) / 2, y: height - 8, "text-anchor": "middle" },
      xLabel,
    ),
    drawing(
      "text",
      {
        transform: `translate(12 ${(area.top + area.bottom) / 2}) rotate(-90)`,
        "text-anchor": "middle",
      },
      yLabel,
    ),
  );
  return { svg, x, y, area };
}

function emptyFigure(target, text) {
  byId(target).replaceChildren(element("p", { class: "note" }, text));
}
