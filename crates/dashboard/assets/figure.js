// From snapshots to figures: rates, quantiles, and how they are written. Pure; nothing here knows of the page.

export const counter = (snapshot, name) => snapshot.counters[name] ?? 0;

// How much a count went up a second. A count that went down belongs to a server that was started again.
export function rate(before, now, read) {
  const seconds = (now.at - before.at) / 1000;
  const difference = read(now) - read(before);
  return seconds > 0 && difference >= 0 ? difference / seconds : null;
}

// What fell into each bucket between two snapshots, over all channel types or one of them.
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

// The upper bound of the bucket in which a share of the values lies at the latest; null when there are none.
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
