"""Genesis: breed trading strategies, judge them honestly, promote what survives."""
