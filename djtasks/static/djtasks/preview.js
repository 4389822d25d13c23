'use strict';
// The next runs of the rule in the form, told by the server each time that a part of it has changed.
{
    const names = ['kind', 'expression', 'timezone', 'fold'];
    let asked = 0;

    async function refresh(fields) {
        const mine = ++asked;
        const given = new URLSearchParams(fields.map((field) => [field.name, field.value]));
        const here = window.location.pathname;
        const answer = await fetch(here.slice(0, here.indexOf('/schedule/') + '/schedule/'.length) + 'preview/?' + given);
        const text = await answer.text();
        const shown = document.getElementById('djtasks-preview');
        // What was asked before may be answered after.
        if (answer.ok && shown && mine === asked) {
            shown.outerHTML = text;
        }
    }

    document.addEventListener('DOMContentLoaded', function() {
        const fields = names.map((name) => document.getElementById('id_' + name)).filter(Boolean);
        for (const field of fields) {
            field.addEventListener('change', () => refresh(fields));
        }
    });
}
