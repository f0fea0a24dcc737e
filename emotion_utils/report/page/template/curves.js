// Curves answer to the pointer, and to the arrow keys: the values of the nearest epoch.
for (const curve of document.querySelectorAll("[data-curve]")) {
  const data = JSON.parse(curve.dataset.curve);
  const svg = curve.querySelector("svg");
  const { width } = svg.viewBox.baseVal;
  const draw = (name, values) => {
    const element = svg.appendChild(document.createElementNS(svg.namespaceURI, name));
    for (const [key, value] of Object.entries(values)) element.setAttribute(key, value);
    return element;
  };
  const cursor = draw("line", { class: "cursor", y1: data.top, y2: data.bottom });
  const dots = data.series.map((each) => draw("circle", { class: "cursor", r: 2.6, fill: `var(--c-${each.color.slice(1)})` }));
  const tip = curve.appendChild(document.createElement("output"));
  const write = (text, parent = tip, color = "") => {
    const line = parent.appendChild(document.createElement("span"));
    line.textContent = text;
    line.style.color = color;
    return line;
  };
  const say = (value) => (value === null || value === undefined ? "\u2013" : value.toFixed(3));
  let place = -1;
  const show = (next) => {
    place = Math.max(0, Math.min(next, data.epochs.length - 1));
    const x = data.x[place];
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    tip.replaceChildren();
    write(`epoch ${data.epochs[place]}`);
    data.series.forEach((each, number) => {
      const y = each.val_y[place];
      dots[number].setAttribute("cx", x);
      dots[number].setAttribute("cy", y ?? -9);
      write(`${each.name}: ${say(each.val[place])}, in training ${say(each.train[place])}`, tip, `var(--c-${each.color.slice(1)})`);
    });
    const right = x > width / 2;
    tip.style.left = right ? "" : `${(100 * x) / width + 2}%`;
    tip.style.right = right ? `${100 - (100 * x) / width + 2}%` : "";
    curve.classList.add("shown");
  };
  const hide = () => {
    place = -1;
    curve.classList.remove("shown");
  };
  curve.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) * width) / box.width;
    const distances = data.x.map((each) => Math.abs(each - x));
    show(distances.indexOf(Math.min(...distances)));
  });
  curve.addEventListener("pointerleave", hide);
  curve.addEventListener("blur", hide);
  curve.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    show(place < 0 && step < 0 ? data.epochs.length - 1 : place + step);
  });
  curve.tabIndex = 0;
  curve.setAttribute("role", "group");
  curve.setAttribute("aria-label", "Values by epoch: use the arrow keys");
}
