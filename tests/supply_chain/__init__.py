"""What the product is made of: known vulnerabilities, licences, contents of packages."""
