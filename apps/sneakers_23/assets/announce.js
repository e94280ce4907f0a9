// Announcements of a live region for screen readers.

/**
 * Returns a function that writes a text into a live region: at most one in each interval. Of texts that come faster only
 * the last one is announced.
 * @param {Element} region
 * @param {number} intervalMs
 * @returns {function(string): void}
 */
export function announcer(region, intervalMs = 1000) {
  let waiting;
  let timer;
  const next = () => {
    timer = undefined;
    if (waiting === undefined) return;
    region.textContent = waiting;
    waiting = undefined;
    timer = setTimeout(next, intervalMs);
  };
  return (text) => {
    waiting = text;
    if (timer === undefined) next();
  };
}
