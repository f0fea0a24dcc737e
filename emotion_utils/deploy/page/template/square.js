// The square that is judged, in whole pixels of the image; it never leaves the image.
class Square {
  constructor(element, stage, onChange) {
    Object.assign(this, { element, stage, onChange, left: 0, top: 0, side: 1, width: 1, height: 1, isSet: false });
    element.addEventListener("pointerdown", (event) => this.drag(event));
    element.addEventListener("keydown", (event) => this.press(event));
  }

  get smallest() { return Math.min(16, this.largest); }
  get largest() { return Math.min(this.width, this.height); }

  // Puts it into the middle of an image of that size: all of one that shows a face alone, as far as its size and shape
  // tell (see audit/faces.py). In others it waits to be put around a face: `isSet`.
  centre(width, height) {
    Object.assign(this, { width, height });
    const longer = Math.max(width, height), isSquare = longer <= 1.1 * this.largest;
    const isFace = longer < facts.smallest_searched || (isSquare && longer < facts.smallest_scene);
    this.isSet = isFace;
    const side = isFace ? this.largest : Math.round(0.6 * this.largest);
    this.place(Math.floor((width - side) / 2), Math.floor((height - side) / 2), side);
  }

  place(left, top, side) {
    const within = (value, least, most) => Math.round(Math.min(Math.max(value, least), most));
    this.side = within(side, this.smallest, this.largest);
    this.left = within(left, 0, this.width - this.side);
    this.top = within(top, 0, this.height - this.side);
    const { style } = this.element, share = (value, of) => `${100 * value / of}%`;
    style.left = share(this.left, this.width);
    style.top = share(this.top, this.height);
    style.width = share(this.side, this.width);
    style.height = share(this.side, this.height);
    this.element.setAttribute("aria-label", `Square around the face: ${this.side} pixels wide, ${this.left} from the `
      + `left, ${this.top} from the top. Arrow keys move it, plus and minus change its size.`);
    this.onChange();
  }

  // About its middle.
  resize(side) {
    this.isSet = true;
    side = Math.min(Math.max(Math.round(side), this.smallest), this.largest);
    this.place(this.left + (this.side - side) / 2, this.top + (this.side - side) / 2, side);
  }

  press(event) {
    const step = Math.max(1, Math.round(this.largest * (event.shiftKey ? 0.05 : 0.01)));
    const across = { ArrowLeft: -step, ArrowRight: step }[event.key] ?? 0;
    const down = { ArrowUp: -step, ArrowDown: step }[event.key] ?? 0;
    const larger = { "+": step, "=": step, "-": -step, "_": -step }[event.key] ?? 0;
    if (event.ctrlKey || event.metaKey || event.altKey || !(across || down || larger)) return;
    event.preventDefault();
    this.isSet = true;
    if (larger) this.resize(this.side + 2 * larger);
    else this.place(this.left + across, this.top + down, this.side);
  }

  // Moves it, or, by one of its corners, keeps the opposite corner where it is.
  drag(event) {
    event.preventDefault();
    this.element.focus({ preventScroll: true });
    this.isSet = true;
    this.onChange();  // also where it is not moved
    const scale = this.width / this.stage.clientWidth, { left, top, side } = this, corner = event.target.dataset.corner;
    const right = left + side, bottom = top + side;
    const move = (to) => {
      const across = (to.clientX - event.clientX) * scale, down = (to.clientY - event.clientY) * scale;
      if (!corner) return this.place(left + across, top + down, side);
      const isLeft = corner.includes("left"), isTop = corner.includes("top");
      const wanted = side + Math.max(isLeft ? -across : across, isTop ? -down : down);
      const room = Math.min(isLeft ? right : this.width - left, isTop ? bottom : this.height - top);
      const next = Math.round(Math.min(Math.max(wanted, this.smallest), room));
      this.place(isLeft ? right - next : left, isTop ? bottom - next : top, next);
    };
    const stop = () => {
      this.element.removeEventListener("pointermove", move);
      this.element.removeEventListener("lostpointercapture", stop);
    };
    this.element.setPointerCapture(event.pointerId);
    this.element.addEventListener("pointermove", move);
    this.element.addEventListener("lostpointercapture", stop);
  }
}

