// Runs before the first paint; the rest of the app uses the same key (src/theme/manager.ts).
(function () {
  var choice = 'auto';
  try { choice = localStorage.getItem('skywatch.scheme') || 'auto'; } catch (_) { /* storage refused */ }
  var dark = choice === 'dark' || (choice !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.setAttribute('data-mantine-color-scheme', dark ? 'dark' : 'light');
})();
