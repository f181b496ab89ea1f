/** What a text panel says, as HTML that nothing can come from but text, tables, links and pictures. */
import createPurifier, { type WindowLike } from 'dompurify';
import { Marked } from 'marked';

const markdown = new Marked({ gfm: true, breaks: false, async: false });

/** Not even what is harmless may look like a part of the console that asks for something. */
const ALLOWED = {
  USE_PROFILES: { html: true },
  FORBID_TAGS: ['style', 'form', 'input', 'textarea', 'select', 'option', 'button', 'dialog', 'video', 'audio', 'iframe'],
  FORBID_ATTR: ['id', 'name', 'class', 'style', 'tabindex', 'autofocus'],
  ADD_ATTR: ['target'],
};

/** Nothing where there is no document to make it safe with; the text is then shown as it stands. */
export function textHtml(text: string, mode: string, page: WindowLike | undefined = globalThis.window): string | undefined {
  if (!page) return undefined;
  const purifier = createPurifier(page);
  if (!purifier.isSupported) return undefined;
  // A page that a link opens has no way back into this one.
  purifier.addHook('afterSanitizeAttributes', (node) => {
    if (node.tagName === 'A') node.setAttribute('rel', 'noopener noreferrer');
  });
  return purifier.sanitize(mode === 'html' ? text : (markdown.parse(text) as string), ALLOWED);
}
