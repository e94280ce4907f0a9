// The auction room's page. The official client connects; live values are in data-* attributes and text.
import { Socket } from "./node_modules/phoenix/priv/static/phoenix.mjs"

const auction = new URLSearchParams(location.search).get("id") ?? "1"
const find = (selector) => document.querySelector(selector)
const problems = {
  too_low_or_too_late: "That is not more than the best bid, or the auction has ended.",
  too_fast: "One bid a second, please.",
  not_allowed: "Only the auctioneer may do that.",
  no_such_auction: "There is no such auction.",
}

function show(state, text) {
  find("#state").dataset.state = state
  find("#state").textContent = text
}

function log(text, mine) {
  const line = document.createElement("li")
  line.textContent = text
  if (mine) line.dataset.mine = ""
  find("#log").prepend(line)
}

function best(amount, bidder) {
  find("#best").textContent = amount
  find("#bidder").textContent = bidder ? `by ${bidder}` : "no bid yet"
  find("#bid [name=amount]").min = amount + 1
}

function ended() {
  find("#bid button").disabled = true
  find("#end").disabled = true
  find("#ends").textContent = "The auction has ended."
}

function enter(token, isAuctioneer) {
  let attempts = 0
  const socket = new Socket("/socket", { authToken: token })
  socket.onOpen(() => show("open", "live"))
  socket.onClose((event) => {
    if (event.code !== 1000 || !event.reason) return show("retry", `connection lost, attempt ${++attempts}`)
    // The server has refused this client for good. phoenix.js 1.8.15 and earlier stop by themselves, later ones do not.
    socket.disconnect()
    show("refused", event.reason)
  })
  socket.connect()
  globalThis.socket = socket // for the browser's console

  const channel = socket.channel(`auction:${auction}`)
  const ask = (form, event, payload) => {
    const problem = form?.querySelector(".problem")
    channel
      .push(event, payload)
      .receive("ok", () => { form?.reset(); if (problem) problem.textContent = "" })
      .receive("error", ({ reason }) => { if (problem) problem.textContent = problems[reason] ?? reason })
  }
  channel.on("bid", ({ bidder, amount, mine }) => { best(amount, bidder); log(`${bidder} bids ${amount}`, mine) })
  channel.on("ended", ({ best: amount, bidder }) => { ended(); log(bidder ? `Sold to ${bidder} for ${amount}` : "Not sold") })
  channel.on("announced", ({ text }) => log(text))
  channel
    .join()
    .receive("ok", (state) => {
      find("#title").textContent = state.title
      find("#ends").textContent = `Ends at ${new Date(state.ends_at).toLocaleTimeString()}.`
      best(state.best, state.bidder)
      if (state.ended) ended()
      find("#room").hidden = false
      find("#auctioneer").hidden = !isAuctioneer
    })
    .receive("error", ({ reason }) => show("refused", problems[reason] ?? reason))

  find("#bid").onsubmit = (event) => {
    event.preventDefault()
    ask(event.target, "bid", Number(event.target.amount.value))
  }
  find("#ban").onsubmit = (event) => {
    event.preventDefault()
    ask(event.target, "ban", Object.fromEntries(new FormData(event.target)))
  }
  find("#end").onclick = () => ask(null, "end", {})
}

find("#sign-in").onsubmit = async (event) => {
  event.preventDefault()
  const form = event.target
  const credentials = Object.fromEntries(new FormData(form))
  const headers = { "content-type": "application/json" }
  const response = await fetch("/sign_in", { method: "POST", headers, body: JSON.stringify(credentials) })
  if (!response.ok) {
    form.querySelector(".problem").textContent = "That is not the auctioneer's password."
    return
  }
  form.hidden = true
  enter(await response.text(), credentials.password !== "")
}
