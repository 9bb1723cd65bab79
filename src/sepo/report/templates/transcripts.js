// Episodes: filters, a table page by page, and one episode round by round; the address names the one shown.
for (const section of document.querySelectorAll(".transcripts")) {
  const page = 12;
  const find = (selector) => section.querySelector(selector);
  const make = (tag, text, attributes = {}) => {
    const element = document.createElement(tag);
    if (text !== null) element.textContent = text;
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const number = (value) =>
    value === null || value === undefined ? "n/a" : String(Math.round(value * 1000) / 1000).replace("-", "\u2212");
  const percent = (value) => `${(100 * value).toFixed(value > 0.9995 || value === 0 ? 0 : 1)} %`;
  const outcome = (e) => (e.own > e.other ? "ahead" : e.own < e.other ? "behind" : "level");
  const shown = (e) => ({ arm: e.arm, seed: String(e.seed), opponent: e.opponent, outcome: outcome(e) });
  const address = (e) =>
    "#" + [section.dataset.chapter, "episode", e.arm, e.seed, e.opponent, e.episode].map(encodeURIComponent).join("/");

  let episodes = [];
  let kept = [];
  let start = 0;

  // What a model wrote before a move: first the replies that did not count, each marked as such, then the one that did.
  const written = (move) => {
    const rows = [];
    const add = (kind, label, text) => {
      const row = make("tr", null);
      const cell = make("td", null, { colspan: "4", class: `said ${kind}` });
      cell.append(make("small", label), make("span", text));
      row.append(cell);
      rows.push(row);
    };
    const refused = move.refused ?? [];
    refused.forEach((reply, place) =>
      add("refused", `not counted: refused reply ${place + 1} of ${move.illegal}, ${reply.fault}`, reply.text || "(empty)"),
    );
    if (move.illegal > refused.length) {
      add("refused", "not counted", `${move.illegal - refused.length} more refused replies, not shown here`);
    }
    const who = `${move.illegal ? "counted: " : ""}the ${move.by === "learner" ? "policy" : "opponent"} wrote`;
    if (move.text) add("counted", who, move.text);
    else if (move.illegal) add("refused", "no reply was legal", "the rule for illegal replies stands for the move");
    return rows;
  };

  const played = (hand) => {
    const rows = [];
    const rounds = new Map();
    for (const move of hand.moves) {
      const key = move.round ?? 0;
      if (!rounds.has(key)) rounds.set(key, []);
      rounds.get(key).push(move);
    }
    for (const [round, moves] of rounds) {
      const paid = [0, 1].map((side) => moves.reduce((sum, m) => sum + (m.paid ? m.paid[side] : 0), 0));
      const texts = moves.map(written);
      const rowspan = String(texts.reduce((sum, found) => sum + 1 + found.length, 0));
      moves.forEach((move, place) => {
        const row = make("tr", null);
        if (place === 0) {
          row.append(make("th", String(round + 1), { scope: "rowgroup", rowspan }));
        }
        const own = move.by === "learner";
        row.append(make("td", own ? "policy" : "opponent"), make("td", move.action));
        row.append(make("td", percent(move.probability)));
        const else_ = Object.entries(move.policy ?? {}).filter(([action]) => action !== move.action);
        else_.sort((a, b) => b[1] - a[1]);
        const more = else_.length > 5 ? `, ${else_.length - 5} more` : "";
        row.append(make("td", else_.slice(0, 5).map(([a, p]) => `${a} ${percent(p)}`).join(", ") + more));
        if (place === 0) {
          const known = moves.some((m) => m.paid);
          const behind = known && paid[1] > paid[0] + 1e-9;
          const cell = make("td", known ? `${number(paid[0])} : ${number(paid[1])}` : "n/a", { rowspan });
          if (behind) {
            cell.className = "behind";
            cell.append(make("small", `behind by ${number(paid[1] - paid[0])}`));
          }
          row.append(cell);
        }
        rows.push(row, ...texts[place]);
      });
    }
    return rows;
  };

  const show = (e, focus) => {
    const place = find(".episode");
    place.replaceChildren();
    const heading = section.querySelector(".section");
    const level = Number(heading.tagName[1]) + 1;
    const title = `${e.arm}, seed ${e.seed}, against ${e.opponent}, episode ${e.episode + 1}`;
    place.append(make(`h${level}`, title, { class: "panel" }));
    const link = make("a", "link to this episode", { href: address(e) });
    const summary = make("p", `${number(e.own)} to ${number(e.other)}: the policy ends ${outcome(e)}. `);
    summary.append(link);
    place.append(summary);
    e.hands.forEach((hand, index) => {
      const caption = e.hands.length > 1 ? `Hand ${index + 1}, seat ${hand.seat}: ${number(hand.own)} to ${number(hand.other)}` : title;
      const scroll = make("div", null, { class: "scroll", role: "region", tabindex: "0", "aria-label": caption });
      const table = make("table", null);
      const head = make("caption", null);
      head.append(make("span", caption));
      const titles = make("tr", null);
      for (const text of ["round", "who", "action", "probability", "else", "paid (policy : opponent)"]) {
        titles.append(make("th", text, { scope: "col" }));
      }
      const thead = make("thead", null);
      thead.append(titles);
      const tbody = make("tbody", null);
      tbody.append(...played(hand));
      table.append(head, thead, tbody);
      scroll.append(table);
      place.append(scroll);
    });
    if (focus) place.focus();
  };

  const list = () => {
    const wanted = Object.fromEntries([...section.querySelectorAll("select")].map((s) => [s.name, s.value]));
    kept = episodes.filter((e) => Object.entries(shown(e)).every(([key, value]) => !wanted[key] || wanted[key] === value));
    start = Math.min(start, Math.max(0, Math.floor((kept.length - 1) / page) * page));
    const rows = kept.slice(start, start + page).map((e) => {
      const row = make("tr", null);
      row.append(make("td", e.arm), make("td", String(e.seed)), make("td", e.opponent));
      const cell = make("td", null);
      const button = make("button", `show ${e.episode + 1}`, {
        type: "button",
        "aria-label": `Show ${e.arm}, seed ${e.seed}, against ${e.opponent}, episode ${e.episode + 1}`,
      });
      button.addEventListener("click", () => {
        history.replaceState(null, "", address(e));
        show(e, true);
      });
      cell.append(button);
      row.append(cell, make("td", number(e.own)), make("td", number(e.other)), make("td", outcome(e)));
      return row;
    });
    find(".episodes tbody").replaceChildren(...rows);
    find(".found").textContent = `${kept.length} of ${episodes.length} episodes`;
    find(".place").textContent = kept.length ? `${start + 1} to ${Math.min(start + page, kept.length)}` : "none";
    find(".before").disabled = start === 0;
    find(".after").disabled = start + page >= kept.length;
  };

  const linked = () => {
    const [chapter, what, arm, seed, opponent, episode] = location.hash.slice(1).split("/").map(decodeURIComponent);
    if (chapter !== section.dataset.chapter || what !== "episode") return;
    const wanted = episodes.find(
      (e) => e.arm === arm && String(e.seed) === seed && e.opponent === opponent && String(e.episode) === episode,
    );
    if (wanted) {
      show(wanted, true);
      find(".episode").scrollIntoView();
    }
  };

  sepo.unpack(find("script.packed")).then((text) => {
    episodes = JSON.parse(text).episodes;
    for (const select of section.querySelectorAll("select")) {
      const values = [...new Set(episodes.map((e) => shown(e)[select.name]))];
      select.append(make("option", "all", { value: "" }), ...values.map((v) => make("option", v, { value: v })));
      select.addEventListener("change", () => {
        start = 0;
        list();
      });
    }
    find(".before").addEventListener("click", () => ((start -= page), list()));
    find(".after").addEventListener("click", () => ((start += page), list()));
    list();
    linked();
    addEventListener("hashchange", linked);
  });
}
