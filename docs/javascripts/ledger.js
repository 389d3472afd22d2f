// Shows the rows of the ledger that have the words typed and the verdict and section chosen.
document.addEventListener("DOMContentLoaded", () => {
  const table = document.getElementById("ledger-table");
  if (!table) return;
  const fields = ["words", "verdict", "section"].map((name) => document.getElementById(`ledger-${name}`));
  const count = document.getElementById("ledger-count");
  const show = () => {
    const [words, verdict, section] = fields.map((field) => field.value);
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !(wanted.every((word) => text.includes(word)) &&
        (!verdict || row.dataset.verdicts.split("|").includes(verdict)) &&
        (!section || row.dataset.section === section));
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${table.tBodies[0].rows.length}`;
  };
  fields.forEach((field) => field.addEventListener("input", show));
  const asked = new URLSearchParams(location.search);
  fields.forEach((field) => { field.value = asked.get(field.id.slice(7)) || field.value; });
  show();
});
