# Reference values for tests/test_cleaning.py: scores with a minimum of answered items, longest runs.
# Run in this folder: Rscript cleaning.R
set.seed(2012)
x <- matrix(sample(c(1:5, NA), 60 * 8, replace = TRUE, prob = c(1, 1, 2, 4, 2, 3)), 60, 8)
x[1, ] <- NA
x[2, ] <- 4
x[3, ] <- c(4, 4, 4, NA, 4, 4, 4, 4)
colnames(x) <- paste0("x", 1:8)
answered <- rowSums(!is.na(x))
longest <- apply(x, 1, function(row) {
  runs <- rle(row)
  max(0, runs$lengths[!is.na(runs$values)])
})
mean_min <- function(least) ifelse(answered >= least, rowMeans(x, na.rm = TRUE), NA)
table <- data.frame(x, half = mean_min(4), six = mean_min(6), longstring = longest)
for (name in c("half", "six")) table[[name]] <- format(table[[name]], digits = 15, trim = TRUE)
write.csv(table, "cleaning.csv", row.names = FALSE, na = "NA", quote = FALSE)
writeLines(capture.output(sessionInfo()), "cleaning_sessioninfo.txt")
