import { JSDOM } from 'jsdom';
import { describe, expect, test } from 'vitest';
import type { WindowLike } from 'dompurify';
import { textHtml } from './textHtml';

const page = new JSDOM('').window as unknown as WindowLike;
const html = (text: string, mode = 'markdown') => textHtml(text, mode, page)!.trim();

describe('text panels', () => {
  test('show Markdown as it is meant', () => {
    expect(html('# Hosts\n\n*all* of [them](https://a.example/)')).toBe('<h1>Hosts</h1>\n<p><em>all</em> of <a href="https://a.example/" rel="noopener noreferrer">them</a></p>');
    expect(html('| a |\n|---|\n| 1 |')).toContain('<td>1</td>');
  });
  test.each([
    '<script>alert(1)</script>', '<img src=x onerror=alert(1)>', '[x](javascript:alert(1))', '<a href="javascript:alert(1)">x</a>', '<iframe src="//a"></iframe>',
    '<form action="/api"><input name="password"></form>', '<style>body { display: none }</style>', '<svg onload=alert(1)>', '<b style="position: fixed">x</b>', '<div id="root" class="panel" onclick="alert(1)">',
  ])('%s does nothing', (text) => {
    for (const mode of ['markdown', 'html']) expect(html(text, mode)).not.toMatch(/<script|href=.javascript|\bon\w+=|<iframe|<form|<input|<style|<svg|id=|class=|style=/);
  }); // prettier-ignore
  test('HTML is kept', () => expect(html('<b>a</b> *b*', 'html')).toBe('<b>a</b> *b*'));
  test('without a document nothing is made safe', () => expect(textHtml('a', 'markdown')).toBeUndefined());
});
