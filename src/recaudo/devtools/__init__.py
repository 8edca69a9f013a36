"""Tools for developers of programs that Recaudo tells what happens. They speak HTTP only and touch no database."""
