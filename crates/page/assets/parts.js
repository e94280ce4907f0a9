// The fields at the top of the page of all parts: theme, colours, and the state of the link.

const root = document.documentElement;
const settings = document.querySelector("#settings");
const bar = document.querySelector(".link-bar");

const TEXTS = {
  "": [],
  lost: ["Connection lost at 12:03:41; trying again. Figures as of 12:03:41."],
  expired: ["Signed out by a restart."],
};

settings.addEventListener("change", () => {
  const { app, theme, link } = Object.fromEntries(new FormData(settings));
  root.dataset.app = app;
  root.dataset.theme = theme;
  bar.dataset.state = link || "hidden";
  bar.replaceChildren(...TEXTS[link]);
  if (link) root.dataset.link = link;
  else delete root.dataset.link;
});
