// A pen with the few strokes of a canvas that the front needs, writing SVG instead.

class SvgPen {
  constructor(width, height, ruler) {
    this.width = width;
    this.height = height;
    this.ruler = ruler; // a canvas pen, which knows how wide a text is
    this.parts = [];
    this.path = "";
    this.turn = "";
    this.globalAlpha = 1;
    this.lineWidth = 1;
    this.dash = [];
  }

  beginPath() { this.path = ""; }
  moveTo(x, y) { this.path += `M${round(x)} ${round(y)}`; }
  lineTo(x, y) { this.path += `${this.path ? "L" : "M"}${round(x)} ${round(y)}`; }
  closePath() { this.path += "Z"; }
  arc(x, y, r) {
    this.path += `M${round(x - r)} ${round(y)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
  }
  setLineDash(dash) { this.dash = dash; }
  fill() { this.add("path", { d: this.path, fill: this.fillStyle }); }
  stroke() {
    const dash = this.dash.length ? { "stroke-dasharray": this.dash.join(" ") } : {};
    this.add("path", { d: this.path, fill: "none", stroke: this.strokeStyle, "stroke-width": this.lineWidth, ...dash });
  }
  fillRect(x, y, width, height) { this.add("rect", { x, y, width, height, fill: this.fillStyle }); }
  fillText(text, x, y) {
    const [, weight, size, family] = /^(bold )?(\d+)px (.*)$/.exec(this.font);
    const anchor = { left: "start", center: "middle", right: "end" }[this.textAlign];
    const bold = weight ? { "font-weight": "bold" } : {};
    this.add("text", { x: round(x), y: round(y), fill: this.fillStyle, "text-anchor": anchor, "font-size": size, "font-family": family, ...bold }, text);
  }
  measureText(text) {
    this.ruler.font = this.font;
    return this.ruler.measureText(text);
  }
  save() { this.kept = this.turn; }
  restore() { this.turn = this.kept; }
  translate(x, y) { this.turn += `translate(${round(x)} ${round(y)})`; }
  rotate(angle) { this.turn += `rotate(${round((angle * 180) / Math.PI)})`; }

  add(name, attributes, text = null) {
    const made = drawing(name, attributes);
    if (this.globalAlpha < 1) made.setAttribute("opacity", this.globalAlpha);
    if (this.turn) made.setAttribute("transform", this.turn);
    if (text !== null) made.textContent = text;
    this.parts.push(made);
  }

  text() {
    const { width, height } = this;
    const svg = drawing("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
    svg.append(...this.parts);
    return new XMLSerializer().serializeToString(svg);
  }
}

function round(value) {
  return Math.round(value * 100) / 100;
}
