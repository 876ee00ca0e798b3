package shop

import (
	"fmt"
	"slices"
)

// Zone is how far a parcel goes.
type Zone string

// The zones, as the carrier prices them. The shop is in Germany.
const (
	ZoneHome   Zone = "home"
	ZoneEU     Zone = "eu"
	ZoneExport Zone = "export" // outside the VAT area of the EU
)

// Country is a place that the shop delivers to.
type Country struct {
	Code string // ISO 3166-1 alpha-2
	Name string
	Zone Zone
	// VAT is the standard rate of the country of destination, which is where the sale to a consumer is taxed. Export is free
	// of it. Many states tax books at a reduced rate; this shop charges the standard one throughout.
	VAT Rate
}

// countries holds the standard rates in force on 1 January 2026, from the European Commission's Taxes in Europe Database
// (https://ec.europa.eu/taxation_customs/tedb): of late Finland 25.5 (September 2024), Slovakia 23 (January 2025), Estonia 24
// (July 2025) and Romania 21 (August 2025).
var countries = []Country{
	{"AT", "Austria", ZoneEU, 2000},
	{"BE", "Belgium", ZoneEU, 2100},
	{"BG", "Bulgaria", ZoneEU, 2000},
	{"CY", "Cyprus", ZoneEU, 1900},
	{"CZ", "Czechia", ZoneEU, 2100},
	{"DE", "Germany", ZoneHome, 1900},
	{"DK", "Denmark", ZoneEU, 2500},
	{"EE", "Estonia", ZoneEU, 2400},
	{"ES", "Spain", ZoneEU, 2100},
	{"FI", "Finland", ZoneEU, 2550},
	{"FR", "France", ZoneEU, 2000},
	{"GR", "Greece", ZoneEU, 2400},
	{"HR", "Croatia", ZoneEU, 2500},
	{"HU", "Hungary", ZoneEU, 2700},
	{"IE", "Ireland", ZoneEU, 2300},
	{"IT", "Italy", ZoneEU, 2200},
	{"LT", "Lithuania", ZoneEU, 2100},
	{"LU", "Luxembourg", ZoneEU, 1700},
	{"LV", "Latvia", ZoneEU, 2100},
	{"MT", "Malta", ZoneEU, 1800},
	{"NL", "Netherlands", ZoneEU, 2100},
	{"PL", "Poland", ZoneEU, 2300},
	{"PT", "Portugal", ZoneEU, 2300},
	{"RO", "Romania", ZoneEU, 2100},
	{"SE", "Sweden", ZoneEU, 2500},
	{"SI", "Slovenia", ZoneEU, 2200},
	{"SK", "Slovakia", ZoneEU, 2300},

	{"CH", "Switzerland", ZoneExport, 0},
	{"GB", "United Kingdom", ZoneExport, 0},
	{"NO", "Norway", ZoneExport, 0},
	{"US", "United States", ZoneExport, 0},
}

// misspelt are codes that people write for the right ones: the country's plate, its domain, or what Greece uses for VAT.
var misspelt = map[string]string{"UK": "GB", "EL": "GR", "GER": "DE", "USA": "US"}

// LookupCountry finds a country by its ISO code.
func LookupCountry(code string) (Country, error) {
	i := slices.IndexFunc(countries, func(c Country) bool { return c.Code == code })
	if i >= 0 {
		return countries[i], nil
	}
	if right := misspelt[code]; right != "" {
		return Country{}, fmt.Errorf("unknown country %q: did you mean %q?", code, right)
	}
	return Country{}, fmt.Errorf("unknown country %q: the shop delivers to the EU, CH, GB, NO and US, by their two-letter ISO codes", code)
}
