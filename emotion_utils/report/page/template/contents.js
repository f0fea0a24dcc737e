// The contents follow the reader, and stay folded on a narrow screen.
(() => {
  const contents = document.querySelector("nav.contents details");
  const links = new Map();
  for (const link of contents.querySelectorAll("a")) links.set(link.hash.slice(1), link);
  if (!matchMedia("(min-width: 75rem)").matches) contents.open = false;
  contents.addEventListener("click", (event) => {
    if (event.target.closest("a") && !matchMedia("(min-width: 75rem)").matches) contents.open = false;
  });
  const headings = [...document.querySelectorAll("main h2, main h3")];
  const mark = () => {
    let here = headings[0];
    for (const heading of headings) if (heading.getBoundingClientRect().top < innerHeight / 3) here = heading;
    for (const [id, link] of links) {
      if (here && id === here.id) {
        if (link.getAttribute("aria-current")) continue;
        link.setAttribute("aria-current", "true");
        const list = link.closest("ol");
        if (list.scrollHeight > list.clientHeight) list.scrollTop = link.offsetTop - list.clientHeight / 2;
      } else link.removeAttribute("aria-current");
    }
  };
  addEventListener("scroll", mark, { passive: true });
  addEventListener("resize", mark);
  mark();
})();
