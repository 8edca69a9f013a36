"""The Treli dialect: customers, products, prices and what is made of them, as clients of Treli's v1 API know them."""
