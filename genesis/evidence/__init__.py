"""What must be true before a strategy leaves research: control arms, gates, dossiers, seals."""
