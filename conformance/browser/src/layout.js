// Reports layout faults: elements that extend past the right edge of the page, and texts, buttons and fields that
// overlap. Scrolling and positioned elements are excluded.
const pieces = [];
const isExcluded = (element) => {
  for (let at = element; at && at !== document.body; at = at.parentElement) {
    const style = getComputedStyle(at);
    if (style.position === "fixed" || style.position === "absolute" || style.overflowY !== "visible") return true;
  }
  return false;
};
const add = (element, name, rects) => {
  for (const rect of rects) {
    // Neighbours may share a pixel at each edge.
    if (rect.width > 2 && rect.height > 2) pieces.push({ element, name, rect });
  }
};
for (const element of document.querySelectorAll("button, input, select, .button, .pill")) {
  if (!isExcluded(element)) add(element, element.id || element.textContent.trim().slice(0, 30), element.getClientRects());
}
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let text = texts.nextNode(); text; text = texts.nextNode()) {
  if (!text.data.trim() || isExcluded(text.parentElement)) continue;
  const range = document.createRange();
  range.selectNodeContents(text);
  add(text.parentElement, text.data.trim().slice(0, 30), range.getClientRects());
}
const faults = pieces.length ? [] : ["the page is empty"];
const width = document.documentElement.clientWidth;
pieces.filter(({ rect }) => rect.right > width + 1).forEach(({ name }) => faults.push(`${name} extends past the right edge`));
pieces.forEach((one, n) => {
  for (const other of pieces.slice(n + 1)) {
    if (one.element.contains(other.element) || other.element.contains(one.element)) continue;
    const across = Math.min(one.rect.right, other.rect.right) - Math.max(one.rect.left, other.rect.left);
    const down = Math.min(one.rect.bottom, other.rect.bottom) - Math.max(one.rect.top, other.rect.top);
    if (across > 1 && down > 4) faults.push(`${one.name} and ${other.name} overlap`);
  }
});
done(faults);
