"""What the project is kept with: generators of pages, long runs, packaging."""
