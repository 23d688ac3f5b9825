"""What works here and what does not: the checks of `reelbatch doctor`, each free and on its own."""
