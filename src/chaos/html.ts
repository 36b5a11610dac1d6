/** HTML and SVG text in which whatever comes from outside is escaped. Pure. */

/** Text that may stand in a document as it is. */
export class Html {
  constructor(readonly text: string) {}
}

type Part = string | number | Html;

/** What is put in is text, unless it is Html. */
export function html(pieces: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(
    pieces
      .map((piece, index) => {
        const part = parts[index - 1];
        if (part === undefined) return piece;
        return (part instanceof Html ? part.text : escaped(String(part))) + piece;
      })
      .join(''),
  );
}

export function join(parts: readonly Html[]): Html {
  return new Html(parts.map(({ text }) => text).join('\n'));
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
