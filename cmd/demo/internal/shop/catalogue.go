package shop

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"
)

// Book is a title in the catalogue.
type Book struct {
	ISBN    ISBN   `json:"isbn"`
	Title   string `json:"title"`
	Authors string `json:"authors"`
	Price   Cents  `json:"price"`  // net list price
	Grams   int    `json:"grams"`  // what the carrier weighs
	Copies  int    `json:"copies"` // on the shelf when the night begins
}

//go:embed catalogue.json
var catalogueJSON []byte

// Catalogue are the titles that the shop sells, by ISBN.
var Catalogue = sync.OnceValue(func() map[ISBN]Book {
	var books []Book
	if err := json.Unmarshal(catalogueJSON, &books); err != nil {
		panic(fmt.Sprintf("catalogue.json, which is part of this program: %v", err))
	}
	byISBN := make(map[ISBN]Book, len(books))
	for _, b := range books {
		byISBN[b.ISBN] = b
	}
	return byISBN
})
