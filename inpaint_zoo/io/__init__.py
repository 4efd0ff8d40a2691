"""Files: pictures decoded safely, folders listed, results written atomically. No torch here."""
