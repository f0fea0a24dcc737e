// An image that is wider than the page is marked on the sides where it goes on.
(() => {
  const frames = [...document.querySelectorAll(".panel:has(> img)")];
  const mark = (frame) => {
    const left = frame.scrollLeft;
    frame.classList.toggle("more-left", left > 1);
    frame.classList.toggle("more-right", left + frame.clientWidth < frame.scrollWidth - 1);
  };
  const watch = new ResizeObserver((entries) => entries.forEach((entry) => mark(entry.target)));
  for (const frame of frames) {
    frame.addEventListener("scroll", () => mark(frame), { passive: true });
    watch.observe(frame);
  }
})();
