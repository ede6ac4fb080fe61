/**
 * A transform: drops documents under a number of characters and strips trailing white space. Use it with
 *
 *     data:
 *       transform: { module: ../examples/drop-short.mjs, options: { minCharacters: 200 } }
 *
 * Arrow batch in, Arrow batch out. The batch has the columns row, text and domain; the result needs the same three.
 */
export default function dropShort(batch, { arrow, options }) {
  const minimum = options.minCharacters ?? 100;
  const rows = [];
  const texts = [];
  const domains = [];
  for (let i = 0; i < batch.numRows; i++) {
    const text = batch.getChild("text").get(i)?.trimEnd();
    if (text === undefined || text.length < minimum) continue;
    rows.push(batch.getChild("row").get(i));
    texts.push(text);
    domains.push(batch.getChild("domain").get(i));
  }
  return new arrow.Table({
    row: arrow.vectorFromArray(rows, new arrow.Uint32()),
    text: arrow.vectorFromArray(texts, new arrow.Utf8()),
    domain: arrow.vectorFromArray(domains, new arrow.Utf8()),
  });
}
