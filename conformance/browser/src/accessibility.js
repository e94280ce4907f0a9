// Reports the violations of axe-core's rules, one text for each element. Animations that end are awaited, since the
// colours between two states have other contrasts. Forced colours are the user's own, and axe-core reads the page's
// colours in their place, so contrasts are not measured then.
const endless = (animation) => animation.effect.getComputedTiming().iterations === Infinity;
const settled = document.getAnimations().filter((animation) => !endless(animation)).map(({ finished }) => finished);
const rules = { "color-contrast": { enabled: !matchMedia("(forced-colors: active)").matches } };
Promise.allSettled(settled)
  .then(() => axe.run(document, { resultTypes: ["violations"], rules }))
  .then(({ violations }) => done(violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary.replaceAll(/\s+/g, " ")}`))));
