// Calculates rates and quantiles from snapshots and formats them. All functions are pure and independent of the page.

export const counter = (snapshot, name) => snapshot.counters[name] ?? 0;

// Returns the increase of a count per second; null when the count decreased, which means a restarted server.
export function rate(before, now, read) {
  const seconds = (now.at - before.at) / 1000;
  const difference = read(now) - read(before);
  return seconds > 0 && difference >= 0 ? difference / seconds : null;
}

// Returns the new values of each bucket between two snapshots, of one channel type or of all.
export function buckets(before, now, histogram, type) {
  const counts = new Map();
  for (const [name, channels] of Object.entries(now.channels)) {
    if (type !== undefined && name !== type) continue;
    const earlier = new Map(before?.channels[name]?.[histogram] ?? []);
    for (const [bucket, count] of channels[histogram]) {
      const more = count - (earlier.get(bucket) ?? 0);
      if (more > 0) counts.set(bucket, (counts.get(bucket) ?? 0) + more);
    }
  }
  return counts;
}

export const total = (counts) => [...counts.values()].reduce((sum, count) => sum + count, 0);

// Returns the upper bound of the bucket that contains the quantile `share`; null without values.
export function quantile(counts, bounds, share) {
  const wanted = Math.ceil(total(counts) * share);
  if (wanted === 0) return null;
  let seen = 0;
  for (const [bucket, count] of [...counts].sort(([a], [b]) => a - b)) {
    seen += count;
    if (seen >= wanted) return bounds[Math.min(bucket, bounds.length - 1)];
  }
  return null;
}

const digits = (value) => (value === 0 || value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));
const trimmed = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);

export const write = {
  count(value) {
    if (value === null) return "–";
    if (value >= 1e6) return `${trimmed(digits(value / 1e6))} M`;
    if (value >= 10_000) return `${trimmed(digits(value / 1000))} k`;
    return value >= 1000 ? Math.round(value).toLocaleString("en") : trimmed(digits(value));
  },
  rate: (value) => (value === null ? "–" : `${write.count(value)}/s`),
  bytes(value) {
    if (value === null) return "–";
    const units = ["B", "KB", "MB", "GB", "TB"];
    let unit = 0;
    while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
    return `${trimmed(digits(value))} ${units[unit]}`;
  },
  seconds(value) {
    if (value === null) return "–";
    if (value >= 1) return `${trimmed(digits(value))} s`;
    return value >= 0.001 ? `${trimmed(digits(value * 1e3))} ms` : `${trimmed(digits(value * 1e6))} µs`;
  },
};
