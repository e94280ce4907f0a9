// Reports the violations of axe-core's rules, one text for each element. Animations end first, since colours between
// two states have other contrasts.
Promise.allSettled(document.getAnimations().map((animation) => {
  if (animation.effect.getComputedTiming().iterations === Infinity) return undefined;
  return animation.finished;
}))
  .then(() => axe.run(document, { resultTypes: ["violations"] }))
  .then(({ violations }) => done(violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary.replaceAll(/\s+/g, " ")}`))));
