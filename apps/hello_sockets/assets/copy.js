// The buttons that copy the command next to them.

// Browsers allow the clipboard on secure pages only; localhost is secure, and a LAN address is not.
export function offerCopies() {
  for (const button of document.querySelectorAll(".copy")) offerCopy(button);
}

function offerCopy(button) {
  if (!navigator.clipboard) return button.remove();
  const label = button.firstChild;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    label.data = "Copied";
    setTimeout(() => { label.data = "Copy"; }, 1500);
  });
}
