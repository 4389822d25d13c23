"""When something is due: rules, the slots they name, and what becomes of slots that were missed."""
