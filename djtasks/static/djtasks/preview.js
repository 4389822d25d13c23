'use strict';
// The next runs of the rule in the form, told by the server each time that a part of it has changed.
{
    const names = ['kind', 'expression', 'timezone', 'fold'];

    async function refresh(fields) {
        const given = new URLSearchParams(fields.map((field) => [field.name, field.value]));
        const here = window.location.pathname;
        const answer = await fetch(here.slice(0, here.indexOf('/schedule/') + '/schedule/'.length) + 'preview/?' + given);
        const shown = document.getElementById('djtasks-preview');
        if (answer.ok && shown) {
            shown.outerHTML = await answer.text();
        }
    }

    document.addEventListener('DOMContentLoaded', function() {
        const fields = names.map((name) => document.getElementById('id_' + name)).filter(Boolean);
        for (const field of fields) {
            field.addEventListener('change', () => refresh(fields));
        }
    });
}
