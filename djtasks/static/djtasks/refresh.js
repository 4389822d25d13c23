'use strict';
// Fetches a part of the page again every few seconds, as long as somebody may be looking at it.
{
    function watch(part) {
        const seconds = Number(part.dataset.seconds);
        const address = part.dataset.address;
        let fetching = false;

        async function refresh() {
            // What is being typed or chosen in is left alone.
            if (document.hidden || fetching || part.contains(document.activeElement)) {
                return;
            }
            fetching = true;
            try {
                const answer = await fetch(address, {headers: {'X-Requested-With': 'XMLHttpRequest'}});
                if (answer.redirected) {
                    window.location.reload();
                } else if (answer.ok) {
                    const text = await answer.text();
                    if (text !== part.innerHTML) {
                        part.innerHTML = text;
                    }
                }
                part.classList.toggle('djtasks-stale', !answer.ok);
            } catch {
                part.classList.add('djtasks-stale');
            } finally {
                fetching = false;
            }
        }

        window.setInterval(refresh, 1000 * seconds);
        document.addEventListener('visibilitychange', refresh);
    }

    document.addEventListener('DOMContentLoaded', function() {
        document.querySelectorAll('[data-address][data-seconds]').forEach(watch);
    });
}
